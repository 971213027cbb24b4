"""Closing a day of very many meters, 47 packets each, on SQLite: time, memory, bytes a reading."""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.big_book import SLOTS, fill_daybook, make_meters
from benchmarks.figures import Figure, repeated, show
from meterbook.day_close import close_day
from meterbook.domain.local_days import midnight
from meterbook.storage.database import Database

METERS = int(os.environ.get("METERBOOK_TEST_METERS", "1000000"))
RUNS = 5
DAY = date(2025, 3, 12)
UTC = ZoneInfo("UTC")


def close_once(url: str, found: "multiprocessing.Queue[tuple[float, int]]") -> None:
    """Close the day in a process of its own and say how long it took and how much memory."""
    database = Database(url)
    begin = time.perf_counter()
    close = close_day(database, day=DAY, zone=UTC, now=midnight(DAY, UTC) + 200_000)
    taken_s = time.perf_counter() - begin
    if (close.channel_days, close.readings) != (METERS, METERS * SLOTS):
        sys.exit(f"closed {close}, not {METERS} meters")
    found.put((taken_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def measure() -> dict[str, float]:
    """Fill a new book with a day and close it."""
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        database = make_meters(Path(folder), meters=METERS)
        fill_daybook(database, midnight=midnight(DAY, UTC))
        found: multiprocessing.Queue[tuple[float, int]] = multiprocessing.get_context(
            "spawn"
        ).Queue()
        process = multiprocessing.get_context("spawn").Process(
            target=close_once, args=(database.url.render_as_string(), found)
        )
        process.start()
        taken_s, memory = found.get(timeout=900)
        process.join()
        return {
            "seconds": taken_s,
            "readings/s": METERS * SLOTS / taken_s,
            "MiB": memory / (1 << 20),
            "bytes/reading": ledger_bytes(database) / (METERS * SLOTS),
        }


def ledger_bytes(database: Database) -> int:
    """Return what the pages of the ledger take up."""
    with database.reading() as connection:
        pages = connection.exec_driver_sql("SELECT sum(pgsize) FROM dbstat WHERE name = 'ledger'")
        return int(pages.scalar_one())


def figures() -> list[Figure]:
    """Return the figures of several runs."""
    runs = repeated(RUNS, measure)
    name = f"close a day of {METERS:,} meters x {SLOTS}"
    return [
        Figure(name, "s", runs["seconds"], aim=90, lower_is_better=True),
        Figure(f"{name}", "readings/s", runs["readings/s"], aim=522_000),
        Figure(f"{name}: memory", "MiB", runs["MiB"], aim=1024, lower_is_better=True),
        Figure(
            "a reading in the ledger", "bytes", runs["bytes/reading"], aim=2.3, lower_is_better=True
        ),
    ]


if __name__ == "__main__":
    show(figures())
