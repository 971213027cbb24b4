"""
Power cuts, at any moment of a server's life.

A server is loaded while every change of its disk is journalled; then the power is cut at many
moments of that journal, and each time the book is opened from what the disk may hold.

A reading counts as acknowledged from the moment its client had the answer. The controls run with
`PRAGMA synchronous = OFF` and with PostgreSQL's `fsync = off`.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from commands import run_command
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from servers import running_server
from torture.clusters import Cluster, cluster_folder, end
from torture.disk import LEFT, MARK, Disk, Record, mark, records
from torture.journalled import journalling
from torture.load import Sender
from torture.outcomes import Outcome
from torture.promises import Kept, Key, Promises, kept

SERVE = ("-m", "meterbook", "serve")
NOT_DURABLE = ("-m", "torture.not_durable")
BOOK = "meterbook.sqlite"
PACKETS = 2_000
CLOSED_DAY = "2025-12-31"  # the newest the load sends readings of
EARLY_SHARE = 0.15  # of the cuts, while the book is being made
SEGMENT_MIB = 1
Opened = Callable[[Path], AbstractContextManager[str]]
"""Opens a book from a folder, and gives its URL."""


class Run(msgspec.Struct):
    """What a server did to its disk, and what it promised meanwhile."""

    before: Disk
    records: list[Record]
    sent: dict[Key, int]


def cut(run: Run, *, opened: Opened, cycles: int, seed: int) -> Outcome:
    """Cut the power at so many moments of the run, and check the book after each."""
    chance = random.Random(seed)
    promises = Promises(sent=run.sent)
    outcome = Outcome(what="", cycles=cycles)
    disk, played = run.before, 0
    for moment in _moments(run.records, cycles, chance):
        for record in run.records[played:moment]:
            disk.play(record)
            if record.kind == MARK:
                promises.acknowledged[record.file, record.offset] = int(record.body)
        played = moment
        left = chance.choice(LEFT)
        with tempfile.TemporaryDirectory(prefix="torture-cut-") as name:
            folder = Path(name)
            disk.after_cut(folder, left=left, chance=chance)
            try:
                with opened(folder) as url:
                    seen = _kept(url, promises)
            except Exception as error:  # noqa: BLE001 a book that cannot be opened is a finding
                outcome.findings.append(f"cut at {moment}, {left} left: {error!r}"[:300])
                continue
        outcome.findings += [f"cut at {moment}, {left} left: {what}" for what in seen.findings]
        outcome.acknowledged += len(promises.acknowledged)
        outcome.found += seen.found
    return outcome


def sqlite_run(folder: Path, *, seed: int, packets: int = PACKETS, is_control: bool = False) -> Run:
    """Let a server make its book, take packets, close a day and stop, all of it journalled."""
    book, journal = folder / "book", folder / "journal"
    book.mkdir()
    disk = Disk(book)
    environment = journalling(book, journal)
    sender = Sender(seed=seed)
    with (
        running_server(
            book,
            database_url=f"sqlite:///{book / BOOK}",
            command=NOT_DURABLE if is_control else SERVE,
            environment=environment,
        ) as server,
        journal.open("ab", buffering=0) as marks,
    ):
        _load(sender, server.url, packets // 2, marks.write)
        if not is_control:
            _close_day(book, environment)
        _load(sender, server.url, packets - packets // 2, marks.write)
        server.stop()
    return Run(disk, list(records(journal)), sender.promises.sent)


@contextmanager
def sqlite_after(folder: Path) -> Iterator[str]:
    """Open a book from the files a cut left; the index of the log is memory, not disk."""
    (folder / f"{BOOK}-shm").unlink(missing_ok=True)
    yield f"sqlite:///{folder / BOOK}"


def postgres_run(
    folder: Path, *, seed: int, packets: int = PACKETS, is_control: bool = False
) -> Run:
    """Let PostgreSQL journal what a loaded server makes it write; its folder is the disk."""
    cluster = Cluster(folder, options=["checkpoint_timeout=30s", "min_wal_size=2MB"])
    cluster.options += ["fsync=off"] if is_control else []
    cluster.create(more=[f"--wal-segsize={SEGMENT_MIB}"])
    cluster.start()
    cluster.make_database()
    database = Database(cluster.url)
    migrate(database)
    database.close()
    cluster.stop()
    os.sync()
    disk = Disk(cluster.files)
    journal = folder / "journal"
    journal.touch()
    journal.chmod(0o666)
    sender = Sender(seed=seed)
    cluster.start(environment=journalling(cluster.files, journal))
    try:
        with (
            running_server(
                folder / "book",
                database_url=cluster.url,
                command=NOT_DURABLE if is_control else SERVE,
            ) as server,
            journal.open("ab", buffering=0) as marks,
        ):
            _load(sender, server.url, packets // 2, marks.write)
            _checkpoint(cluster)
            _load(sender, server.url, packets - packets // 2, marks.write)
    finally:
        end(cluster)
    return Run(disk, list(records(journal)), sender.promises.sent)


@contextmanager
def postgres_after(folder: Path) -> Iterator[str]:
    """Start PostgreSQL on the files a cut left, as its operator would."""
    with cluster_folder() as place:
        cluster = Cluster(place)
        shutil.move(folder, cluster.files)
        folder.mkdir()
        (cluster.files / "postmaster.pid").unlink(missing_ok=True)
        for path in (cluster.files, *cluster.files.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if cluster.user:
                shutil.chown(path, cluster.user)
        try:
            cluster.start()
            yield cluster.url
        finally:
            end(cluster)


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:
    """Cut the power of both engines and of their controls; of PostgreSQL a tenth as often."""
    for is_control in (False, True):
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            run = sqlite_run(Path(folder), seed=seed, is_control=is_control)
        outcome = cut(run, opened=sqlite_after, cycles=100 if is_control else cycles, seed=seed)
        yield _named(outcome, "synchronous=OFF, sqlite", "sqlite", is_control=is_control)
    for is_control in (False, True):
        with cluster_folder() as folder:
            run = postgres_run(folder, seed=seed, is_control=is_control)
        outcome = cut(
            run, opened=postgres_after, cycles=10 if is_control else max(5, cycles // 10), seed=seed
        )
        yield _named(outcome, "fsync=off, postgresql", "postgresql", is_control=is_control)


def _named(outcome: Outcome, control: str, engine: str, *, is_control: bool) -> Outcome:
    outcome.what = f"control: power cut, {control}" if is_control else f"power cut, {engine}"
    outcome.is_control = is_control
    return outcome


def _moments(played: list[Record], cycles: int, chance: random.Random) -> list[int]:
    kinds = [record.kind for record in played]
    first = kinds.index(MARK) if MARK in kinds else len(kinds)
    early = [chance.randint(1, first) for _ in range(round(cycles * EARLY_SHARE))]
    late = [chance.randint(first, len(kinds)) for _ in range(cycles - len(early))]
    return sorted(early + late)


def _kept(url: str, promises: Promises) -> Kept:
    database = Database(url)
    try:
        migrate(database)  # as a server that starts would
        return kept(database, promises)
    finally:
        database.close()


def _load(sender: Sender, url: str, packets: int, write: Callable[[bytes], object]) -> None:
    asyncio.run(
        sender.load_until(
            url,
            acknowledged=packets,
            on_acknowledged=lambda key, energy_wh: write(mark(*key, energy_wh)),
        )
    )


def _close_day(book: Path, environment: dict[str, str]) -> None:
    done = run_command(
        "close-day", CLOSED_DAY, folder=book, database_url=f"sqlite:///{book / BOOK}",
        environment=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)


def _checkpoint(cluster: Cluster) -> None:
    cluster.run("psql", "-h", str(cluster.folder), "-U", "postgres", "-c", "CHECKPOINT", "-q")
