"""
Backups while packets come in and days close: the restored book is the book at one instant.

One writer records packets one after the other, so a state of the book is a number: how many of
them are in it. A copy that mixed two instants would have a gap, or a day neither open nor closed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number
from meterbook.intake.packet_fields import Packet
from meterbook.ledger import decode_intervals
from meterbook.queries.invariants import CHECKS
from meterbook.storage.backup import back_up, restore
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, ledger, superseded_readings

FIRST_DAY = date(2025, 2, 8)
FIRST_START = day_number(FIRST_DAY) * 86_400
NOW = FIRST_START + 400 * 86_400
METERS = 3
BACKUPS = 2


class Writer:
    """Records packet after packet, and closes each day when the next begins."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stop = threading.Event()
        self.begun = self.acknowledged = self.closed = 0

    def run(self) -> None:
        """Write until told to stop; packet n has n Wh."""
        closing = threading.Thread(target=self._close)
        closing.start()
        while not self._stop.is_set():
            number = self.begun = self.begun + 1
            stamp = FIRST_START + (number // METERS + 1) * 1800 + 60
            record_packets(self._database, [Packet(1 + number % METERS, stamp, number)])
            self.acknowledged = number
            time.sleep(0.0005)  # gives the close its turn
        closing.join()

    def _close(self) -> None:
        day = FIRST_DAY
        while not self._stop.is_set():
            if self.acknowledged // METERS // 48 > (day - FIRST_DAY).days:
                close_day(self._database, day=day, zone=ZoneInfo("UTC"), now=NOW)
                day += timedelta(days=1)
                self.closed += 1
            time.sleep(0.001)

    def end(self) -> None:
        """Stop."""
        self._stop.set()


@contextmanager
def writing(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.end()
        thread.join()


@pytest.fixture
def empty_copies(database: Database, tmp_path: Path) -> Callable[[int], Database]:
    """Give what makes databases without tables on the same engine."""

    def make(number: int) -> Database:
        if database.is_sqlite:
            return Database(f"sqlite:///{tmp_path / f'restored-{number}.sqlite'}")
        folder = str(database.url.query["host"])
        name = f"{database.url.database}_{number}"
        with psycopg.connect(f"host={folder} user=postgres", autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"'.encode())
        return Database(f"postgresql+psycopg://postgres@/{name}?host={folder}")

    return make


def packets_in(database: Database) -> list[int]:
    """Return the numbers of all packets of the book, open days and closed."""
    with database.reading() as connection:
        numbers = list(connection.execute(sa.select(daybook.c.amount)).scalars())
        for packed in connection.execute(sa.select(ledger.c.intervals)).scalars():
            numbers += [energy for energy in decode_intervals(packed) if energy is not None]
        assert not connection.execute(sa.select(superseded_readings.c.amount)).first()
    return sorted(numbers)


def test_a_book_copied_while_it_is_written_is_the_book_at_one_instant(
    database: Database, empty_copies: Callable[[int], Database], tmp_path: Path
) -> None:
    bounds = []
    with writing(database) as writer:
        for number in range(BACKUPS):
            while writer.closed < number or writer.acknowledged < (number + 1) * 48 * METERS:
                time.sleep(0.001)
            before = writer.acknowledged
            back_up(database, tmp_path / f"{number}", key_file=None, now=NOW)
            bounds.append((before, writer.begun))

    for number, (before, after) in enumerate(bounds):
        restored = empty_copies(number)
        restore(restored, tmp_path / f"{number}", key_file=None)
        packets = packets_in(restored)
        assert packets == list(range(1, len(packets) + 1))
        assert before <= len(packets) <= after
        with restored.reading() as connection:
            assert [finding for check in CHECKS.values() for finding in check(connection)] == []
            counting = sa.select(sa.func.count(sa.distinct(ledger.c.day)))
            assert connection.execute(counting).scalar_one() >= number
        restored.close()
