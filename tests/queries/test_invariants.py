"""The invariants: a sound book passes, and each kind of damage is found."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from meterbook.bulk_load import MeterSeries, load_by_series
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts
from meterbook.domain.reading_columns import reading_columns
from meterbook.domain.readings import Flow
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database

DAY = date(2025, 2, 8)
MIDNIGHT = 1_738_972_800
NOW = 1_760_000_000
SECOND_PLACE = """
    INSERT INTO installations
    SELECT meter_id, 1000, removed_at, meter_point_id, channel_id, grid_offset_s FROM installations
"""


@pytest.fixture
def book(database: Database) -> Database:
    """Give a book with a closed day of revision 2 and an open reading."""
    recorder = PacketRecorder(database, default_zone="UTC")
    for energy_wh in (100, 200):
        packets = [Packet(1, MIDNIGHT + 1860 + 1800 * i, energy_wh + i) for i in range(47)]
        recorder.record([Arrival(packet, None) for packet in packets])
        close_day(database, day=DAY, zone=ZoneInfo("UTC"), now=NOW)
    recorder.record([Arrival(Packet(meter_id, NOW, 5), None) for meter_id in (1, 2)])
    return database


def findings(database: Database) -> dict[str, list[str]]:
    found = {}
    for name, check in CHECKS.items():
        with database.reading() as connection:
            if broken := list(check(connection)):
                found[name] = broken
    return found


def test_a_sound_book_has_no_findings(book: Database) -> None:
    assert findings(book) == {}


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE ledger SET energy = energy + 1", "closed days"),
        ("UPDATE ledger SET missing = 0", "closed days"),
        ("UPDATE ledger SET day = day + 1, channel_id = 77", "closed days"),
        ("DELETE FROM ledger_revisions", "revisions"),
        ("DELETE FROM ledger", "revisions"),
        ("UPDATE ledger_revisions SET energy = energy + 1", "revisions"),
        ("UPDATE daybook SET starts_at = starts_at + 60", "open readings"),
        ("UPDATE daybook SET channel_id = 77 + channel_id", "open readings"),
        ("UPDATE superseded_readings SET channel_id = 77", "superseded readings"),
        (SECOND_PLACE, "installations"),
        ("UPDATE installations SET meter_point_id = 2 WHERE meter_id = 1", "installations"),
        ("UPDATE installations SET grid_offset_s = 900", "installations"),
        ("UPDATE meter_points SET zone = 'Asia/Tokyo'", "installations"),
    ],
)
def test_damage_is_found(book: Database, damage: str, check: str) -> None:
    with book.writing() as connection:
        connection.exec_driver_sql(damage)
    assert check in findings(book)


def test_what_a_home_of_a_quarter_hour_zone_feeds_in_is_on_its_grid(database: Database) -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    starts = np.array(interval_starts(DAY, zone)[:4])
    fed_in = reading_columns(np.zeros(4, dtype=np.int64), starts, np.full(4, 250))
    report = in_one_transaction(
        database,
        lambda connection: load_by_series(
            connection,
            [MeterSeries(3, Flow.EXPORT, 1800)],
            fed_in,
            default_zone=zone.key,
            now=int(starts[-1]) + 1800,
        ),
    )

    assert report.open_readings == 4
    assert findings(database) == {}
