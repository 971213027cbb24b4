"""
kill -9 of the server, of its worker alone, of its parent alone, and of the database.

The server is under load when it is killed: at random moments, and at named points of its work. What
was acknowledged must be there, once, with its value. The control acknowledges before it commits.
"""

import asyncio
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from servers import Server, ServerDidNotStartError
from torture.clusters import Cluster, new_cluster
from torture.kill_points import HIT, POINT, POINTS
from torture.load import Sender
from torture.new_books import ENGINES, Book, new_book
from torture.outcomes import Outcome
from torture.processes import Taken, kill, settled, taken, tree, workers
from torture.warm_servers import SERVE, warm_server

ACKNOWLEDGED_MAX = 1_500  # before a strike: from none yet to half a second's
POINT_S_MAX = 8
GONE_S_MAX = 15
CHECKED_EVERY = 25
HITS_MAX = 40
CRASH_LOOP_S = 5.6
CONTROL_KILLS_MAX = 20
EARLY = "torture.early_acknowledgement"
Strike = Callable[[Server], None]


def random_kills(
    book: Book,
    *,
    cycles: int,
    seed: int,
    strike: Strike = Server.kill,
    program: str = SERVE,
) -> int:
    """Start a server, load it, kill it, again and again; stop at findings. Return how often."""
    chance = random.Random(seed)
    for cycle in range(1, cycles + 1):
        with warm_server(book.folder, database_url=book.url, program=program) as server:
            strike_under_load(server, book.sender, chance, strike)
        if cycle % CHECKED_EVERY == 0 or program == EARLY:
            book.check()
        if book.findings:
            return cycle
    return cycles


def kills_at_points(
    book: Book, *, cycles: int, seed: int, points: Sequence[str] = tuple(POINTS)
) -> int:
    """Load a server that kills itself at a named point, each in turn; return how often it did."""
    chance = random.Random(seed)
    struck = 0
    for cycle in range(1, cycles + 1):
        point = points[cycle % len(points)]
        hit = 1 if "one by one" in point else chance.randint(1, HITS_MAX)
        hit = chance.randint(2, 5) if "log" in point else hit  # once a second
        environment = {POINT: point, HIT: str(hit)}
        try:
            with warm_server(
                book.folder,
                database_url=book.url,
                program="torture.kill_points",
                environment=environment,
            ) as server:
                asyncio.run(_load_until_gone(server, book.sender))
                struck += _is_gone(server)
        except ServerDidNotStartError:
            struck += 1  # a slow machine gets to the log's point before it is ready
        if cycle % CHECKED_EVERY == 0:
            book.check()
    if struck < cycles * 0.7:  # not every point is reached by every load: few are looked at singly
        book.findings.append(f"only {struck} of {cycles} servers got to their point")
    return struck


def kills_of_workers(book: Book, *, cycles: int, seed: int) -> Outcome:
    """Kill the worker of a server that lives on; it starts another, and takes no more."""
    chance = random.Random(seed)
    with warm_server(book.folder, database_url=book.url) as server:
        before: Taken | None = None
        for _ in range(cycles):
            strike_under_load(server, book.sender, chance, _kill_worker)
            server.wait_until_ready()
            # Two crashes within 5.5 s are a crash loop, and the server ends.
            time.sleep(CRASH_LOOP_S)
            before = before or taken(server.process.pid)
        after = settled(server.process.pid, before) if before else taken(server.process.pid)
    return book.outcome("", cycles=cycles, lived=(before or after, after))


def kills_of_database(cluster: Cluster, book: Book, *, cycles: int, seed: int) -> Outcome:
    """Kill PostgreSQL under load and start it again; the server goes on by itself."""
    chance = random.Random(seed)
    with warm_server(book.folder, database_url=book.url) as server:
        before: Taken | None = None
        for _ in range(cycles):
            strike_under_load(
                server, book.sender, chance, lambda _server: _crash(cluster, chance), goes_on=True
            )
            server.wait_until_ready()
            before = before or taken(server.process.pid)
        after = settled(server.process.pid, before) if before else taken(server.process.pid)
    book.findings += [
        f"a packet was answered {status}" for status in book.sender.refusals if status != 503
    ]
    return book.outcome("", cycles=cycles, lived=(before or after, after))


def kill_parent(server: Server) -> None:
    """Kill the process that was started; its worker must end by itself, and free the port."""
    group = tree(server.process.pid)
    kill(server.process.pid)
    server.process.wait()
    end = time.monotonic() + GONE_S_MAX
    while any(_runs(pid) for pid in group):
        if time.monotonic() > end:
            raise RuntimeError("the worker lives on without the server that started it")
        time.sleep(0.05)


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:
    """Kill everything on both engines, so many times in all; what is rare and slow less often."""

    def share(part: float, least: int) -> int:
        return max(least, round(cycles * part))

    for engine in ENGINES:
        with new_book(engine) as book:
            done = random_kills(book, cycles=share(0.15, 1), seed=seed)
            yield book.outcome(f"server killed at random, {engine}", cycles=done)
        with new_book(engine) as book:
            done = kills_at_points(book, cycles=share(0.1, len(POINTS)), seed=seed)
            yield book.outcome(f"server killed at named points, {engine}", cycles=done)
        with new_book(engine) as book:
            done = random_kills(book, cycles=share(0.02, 1), seed=seed, strike=kill_parent)
            yield book.outcome(f"parent killed alone, {engine}", cycles=done)
        with new_book(engine) as book:
            outcome = kills_of_workers(book, cycles=share(0.01, 2), seed=seed)
            outcome.what = f"worker killed alone, {engine}"
            yield outcome
        with new_book(engine) as book:
            done = random_kills(book, cycles=CONTROL_KILLS_MAX, seed=seed, program=EARLY)
            what = f"control: acknowledges before its commit, {engine}"
            yield book.outcome(what, cycles=done, is_control=True)
    with new_cluster() as cluster, new_book("postgresql", url=cluster.url) as book:
        outcome = kills_of_database(cluster, book, cycles=share(0.14, 2), seed=seed)
        outcome.what = "database killed, postgresql"
        yield outcome


def strike_under_load(
    server: Server,
    sender: Sender,
    chance: random.Random,
    strike: Strike,
    *,
    goes_on: bool = False,
) -> None:
    """Load the server, strike at a moment that chance chooses, and end the load."""
    acknowledged = chance.randint(1, ACKNOWLEDGED_MAX)
    pause_s = chance.uniform(0, 0.02)

    def strike_somewhere() -> None:
        time.sleep(pause_s)
        strike(server)

    asyncio.run(
        sender.load_until(
            server.url, acknowledged=acknowledged, strike=strike_somewhere, goes_on=goes_on
        )
    )


async def _load_until_gone(server: Server, sender: Sender) -> None:
    stop = asyncio.Event()
    load = asyncio.create_task(sender.load(server.url, stop=stop))
    await asyncio.wait([load], timeout=POINT_S_MAX)
    stop.set()
    await load


def _is_gone(server: Server) -> bool:
    """Say whether the whole server has ended; its connections break a moment before."""
    try:
        server.process.wait(timeout=GONE_S_MAX)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_worker(server: Server) -> None:
    for pid in workers(server.process.pid):
        kill(pid)


def _crash(cluster: Cluster, chance: random.Random) -> None:
    backends = tree(cluster.process_id)[1:]
    if chance.random() < 0.5:
        kill(chance.choice(backends))  # PostgreSQL ends all its connections and recovers
        time.sleep(0.3)
        return
    gone = cluster.process_id
    cluster.kill()
    while _runs(gone) or any(_runs(pid) for pid in backends):
        time.sleep(0.02)
    time.sleep(chance.uniform(0, 0.3))
    _start_again(cluster)


def _start_again(cluster: Cluster) -> None:
    for _ in range(20):
        try:
            cluster.start()
        except subprocess.CalledProcessError:
            time.sleep(0.3)  # shared memory of the one before is still being freed
        else:
            return
    cluster.start()


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
