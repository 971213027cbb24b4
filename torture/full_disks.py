"""
The disk is full: while packets come in, while a day is closed, a file imported, a backup made.

Nothing may be half done, nothing acknowledged may be missing, and once there is room again the same
work, done again, leads to the book of a disk that was never full.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from books import ledger_content, record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, utc_text
from meterbook.imports import ImportRequest
from meterbook.imports.run import run_import
from meterbook.intake.files.parsed import ParseOptions
from meterbook.intake.packet_fields import Packet
from meterbook.storage.backup import MANIFEST, BackupError, back_up, restore
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from servers import Server
from torture.clusters import Cluster, end
from torture.load import Sender
from torture.new_books import ENGINES, Book
from torture.outcomes import Outcome
from torture.processes import settled, taken, tree
from torture.promises import broken_invariants
from torture.small_disks import SmallDisk, small_disk
from torture.warm_servers import warm_server

DAY = date(2025, 2, 8)
ZONE = ZoneInfo("UTC")
NOW = 1_760_000_000
METERS = 30
FREE_KIB_MAX = 600
DISK_MIB = 16
REFUSED_WITHIN_S = 20
ENOUGH_REFUSALS = 30
POSTGRES_DISK_MIB = 160
FAILED = (sa.exc.SQLAlchemyError, OSError, BackupError)
Work = Callable[[Database, Path], None]
"""Does something to a book; the folder is on the small disk."""


class Task(msgspec.Struct, frozen=True):
    """Something that a full disk stops."""

    name: str
    work: Work
    left: Callable[[Database, Path], object]
    """What must be the same in the end as where the disk was never full."""


def full_while_packets_come(
    disk: SmallDisk,
    book: Book,
    *,
    cycles: int,
    seed: int,
    with_room: Callable[[], None] | None = None,
) -> Outcome:
    """
    Fill the disk under a loaded server and make room again, so many times.

    :param with_room: what a service manager does then: PostgreSQL ends itself on a full disk.
    """
    chance = random.Random(seed)
    refused_only = {503}
    with warm_server(book.folder, database_url=book.url) as server:
        disk.processes = tree(server.process.pid)
        _load(book.sender, server, 300)
        before = taken(server.process.pid)
        for cycle in range(cycles):
            disk.fill(free_kib=chance.randint(0, FREE_KIB_MAX))
            _load_until_refused(book.sender, server)
            disk.empty()
            if with_room is not None:
                with_room()
            server.wait_until_ready()
            known = len(book.sender.promises.acknowledged)
            _load(book.sender, server, 200)
            if len(book.sender.promises.acknowledged) == known:
                book.findings.append(f"cycle {cycle}: nothing is stored though there is room")
        after = settled(server.process.pid, before)
    book.findings += [
        f"a packet was answered {status}" for status in set(book.sender.refusals) - refused_only
    ]
    if not book.sender.refusals:
        book.findings.append("the disk was never full")
    outcome = book.outcome("", cycles=cycles, lived=(before, after))
    outcome.note = disk.note
    return outcome


def full_while_working(task: Task, disk: SmallDisk, *, cycles: int, seed: int) -> Outcome:
    """Do the task on a disk with ever another room left; then with room, and compare."""
    chance = random.Random(seed)
    outcome = Outcome(what=f"disk full: {task.name}, sqlite", cycles=cycles, note=disk.note)
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        template, expected, needed_kib = _undisturbed(Path(name), task)
        stopped = 0
        for _ in range(cycles):
            folder = disk.folder / "book"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copyfile(template, folder / "meterbook.sqlite")
            database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
            disk.fill(free_kib=chance.randint(0, needed_kib * 9 // 10))
            stopped += _is_stopped(task, database, folder)
            disk.empty()
            outcome.findings += broken_invariants(database)
            task.work(database, folder)
            if task.left(database, folder) != expected:
                outcome.findings.append("done again with room, the book is another")
            outcome.findings += broken_invariants(database)
            database.close()
    outcome.acknowledged = outcome.found = METERS * 48 * cycles
    if not stopped:
        outcome.findings.append("the disk was never full")
    return outcome


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:
    """Fill the disk in intake, close, import and backup."""
    some = max(3, cycles // 20)
    for engine in ENGINES:
        with ExitStack() as stack:
            disk, book, with_room = stack.enter_context(_small_book(engine))
            outcome = full_while_packets_come(
                disk, book, cycles=max(2, cycles // 100), seed=seed, with_room=with_room
            )
            outcome.what = f"disk full: intake, {engine}"
        yield outcome
    for task in TASKS:
        with small_disk(mib=DISK_MIB) as disk:
            yield full_while_working(task, disk, cycles=some, seed=seed)


def _close(database: Database, _folder: Path) -> None:
    close_day(database, day=DAY, zone=ZONE, now=NOW, channels_per_chunk=7)


def _import(database: Database, folder: Path) -> None:
    path = folder.parent.parent / f"{folder.parent.name}.csv"
    path.write_text(_csv(), encoding="ascii")
    request = ImportRequest(
        parse=ParseOptions(now=NOW, reading_kwh_max=Decimal(1000)), zone="UTC", format="csv"
    )
    try:
        report = run_import(database, path, request)
    finally:
        path.unlink()
    if report.status != "stored":
        raise OSError(report.problem)


def _back_up(database: Database, folder: Path) -> None:
    copy = folder / "copy"
    if (copy / MANIFEST).exists():
        raise RuntimeError("a backup that failed has a manifest")
    back_up(database, copy, key_file=None, now=NOW)


def _restored(_database: Database, folder: Path) -> object:
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        again = Database(f"sqlite:///{Path(name) / 'meterbook.sqlite'}")
        try:
            restore(again, folder / "copy", key_file=None)
            return record_count(again)
        finally:
            again.close()


def record_count(database: Database) -> int:
    """Return how many readings wait in the daybook."""
    with database.reading() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM daybook")).scalar_one())


TASKS = (
    Task("close", _close, lambda database, _folder: ledger_content(database)),
    Task("import", _import, lambda database, _folder: ledger_content(database)),
    Task("backup", _back_up, _restored),
)


def _is_stopped(task: Task, database: Database, folder: Path) -> bool:
    try:
        task.work(database, folder)
    except FAILED:
        return True
    shutil.rmtree(folder / "copy", ignore_errors=True)
    return False


def _undisturbed(folder: Path, task: Task) -> tuple[Path, object, int]:
    """Make the book that each cycle begins with; what the task leads to, and the KiB it takes."""
    template = folder / "template.sqlite"
    database = Database(f"sqlite:///{template}")
    migrate(database)
    record_packets(database, _packets())
    with database.beside_writer() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    place = folder / "disk" / "book"
    place.mkdir(parents=True)
    shutil.copyfile(template, place / "meterbook.sqlite")
    database = Database(f"sqlite:///{place / 'meterbook.sqlite'}")
    before = _kib_in(place)
    task.work(database, place)
    needed_kib = _kib_in(place) - before
    expected = task.left(database, place)
    database.close()
    return template, expected, needed_kib


def _kib_in(folder: Path) -> int:
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".sqlite-shm"]
    return sum(file.stat().st_blocks for file in files) // 2


def _packets() -> list[Packet]:
    return [
        Packet(meter_id, start + 1860, meter_id * 100 + index)
        for meter_id in range(1, METERS + 1)
        for index, start in enumerate(interval_starts(DAY, ZONE))
    ]


def _csv() -> str:
    chance = random.Random(1)
    lines = ["meter,starts_at,kWh"]
    for day in range(10):
        for start in interval_starts(date(2024, 3, 1 + day), ZONE):
            lines += [
                f"{meter_id},{utc_text(start)},{chance.randint(0, 3000) / 1000}"
                for meter_id in range(1, METERS + 1)
            ]
    return "\n".join(lines) + "\n"


def _load(sender: Sender, server: Server, packets: int) -> None:
    asyncio.run(sender.load_until(server.url, acknowledged=packets, goes_on=True))


def _load_until_refused(sender: Sender, server: Server) -> None:
    refused = sum(sender.refusals.values())

    async def work() -> None:
        stop = asyncio.Event()
        load = asyncio.create_task(sender.load(server.url, stop=stop, goes_on=True))
        for _ in range(REFUSED_WITHIN_S * 10):
            await asyncio.sleep(0.1)
            if sum(sender.refusals.values()) > refused + ENOUGH_REFUSALS:
                break
        stop.set()
        await load

    asyncio.run(work())


@contextmanager
def _small_book(engine: str) -> Iterator[tuple[SmallDisk, Book, Callable[[], None] | None]]:
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-")))
        with_room: Callable[[], None] | None = None
        if engine == "sqlite":
            disk = stack.enter_context(small_disk(mib=DISK_MIB))
            url = f"sqlite:///{disk.folder / 'meterbook.sqlite'}"
            data_dir = disk.folder
        else:
            owner = "postgres" if os.geteuid() == 0 else None
            disk = stack.enter_context(small_disk(mib=POSTGRES_DISK_MIB, owner=owner))
            cluster = Cluster(disk.folder, options=["max_wal_size=32MB", "min_wal_size=2MB"])
            cluster.create(more=["--wal-segsize=1"])
            cluster.start()
            stack.callback(end, cluster)
            cluster.make_database()
            url = cluster.url
            with_room = cluster.start_if_ended
        database = Database(url)
        migrate(database)
        database.close()
        yield disk, Book(data_dir, url, Sender(seed=1)), with_room
