"""The clock jumps by hours and days, forward and back, under load and beside day closes."""

import random
from collections.abc import Iterator

from meterbook.storage.database import Database
from servers import Server
from torture.jumping_clock import CLOCK, set_clock
from torture.kills import strike_under_load
from torture.new_books import ENGINES, Book, new_book
from torture.outcomes import Outcome
from torture.processes import Taken, settled, taken
from torture.warm_servers import warm_server

HOURS_MAX = 60
HOUR_S = 3_600


def jumps(book: Book, *, cycles: int, seed: int) -> Outcome:
    """Let the clock of a loaded server jump so many times, and check the book at the end."""
    chance = random.Random(seed)
    clock = book.folder / "clock"
    set_clock(clock, ahead_s=0)

    def jump(_server: Server) -> None:
        set_clock(clock, ahead_s=chance.uniform(-HOURS_MAX, HOURS_MAX) * HOUR_S)

    environment = {CLOCK: str(clock)}
    program = "torture.jumping_clock"
    with warm_server(
        book.folder, database_url=book.url, program=program, environment=environment
    ) as server:
        before: Taken | None = None
        for _ in range(cycles):
            strike_under_load(server, book.sender, chance, jump)
            before = before or taken(server.process.pid)
        after = settled(server.process.pid, before) if before else taken(server.process.pid)
    book.findings += [f"a packet was answered {status}" for status in book.sender.refusals]
    outcome = book.outcome("", cycles=cycles, lived=(before or after, after))
    outcome.note = f"{_closed_days(book.url):,} days closed meanwhile"
    return outcome


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:
    """Let the clock jump on both engines; of a thousand cycles two hundred."""
    for engine in ENGINES:
        with new_book(engine) as book:
            outcome = jumps(book, cycles=max(3, cycles // 10), seed=seed)
            outcome.what = f"clock jumps, {engine}"
            yield outcome


def _closed_days(url: str) -> int:
    database = Database(url)
    try:
        with database.reading() as connection:
            found = connection.exec_driver_sql("SELECT count(*) FROM day_closes")
            return int(found.scalar_one())
    finally:
        database.close()
