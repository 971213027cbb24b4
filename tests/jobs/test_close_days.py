"""Closing by itself: each zone at its own midnight, and late readings soon after they came."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.day_close import is_closed
from meterbook.domain.local_days import midnight
from meterbook.domain.packed_amounts import UnreadableAmountsError
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.close_days import close_ended_days
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, ledger

DAY = date(2025, 2, 8)
NEXT_DAY = date(2025, 2, 9)
SINGAPORE, LONDON = ZoneInfo("Asia/Singapore"), ZoneInfo("Europe/London")
DELAY_S = 1800


def closed_days(database: Database, now: int) -> list[tuple[str, str, int, int]]:
    closes = close_ended_days(database, now=now, delay_s=DELAY_S)
    return [(c.zone, c.day.isoformat(), c.readings, c.revised) for c in closes]


def test_each_zone_is_closed_half_an_hour_after_its_own_midnight(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1], zone=SINGAPORE.key, now=0)
        add_meters(connection, [2], zone=LONDON.key, now=0)
    noon = midnight(DAY, LONDON) + 12 * 3600
    record_packets(database, [Packet(1, noon, 10), Packet(2, noon, 20)])
    for zone in (SINGAPORE, LONDON):  # the day before has nothing, and is closed all the same
        closed_days(database, midnight(DAY, zone) + DELAY_S)

    in_singapore = midnight(NEXT_DAY, SINGAPORE) + DELAY_S
    assert closed_days(database, in_singapore - 1) == []
    assert closed_days(database, in_singapore) == [("Asia/Singapore", "2025-02-08", 1, 0)]
    in_london = midnight(NEXT_DAY, LONDON) + DELAY_S
    assert closed_days(database, in_london) == [("Europe/London", "2025-02-08", 1, 0)]
    assert closed_days(database, in_london + 60) == []


def test_a_late_reading_of_long_ago_is_taken_into_its_day_at_the_next_run(
    database: Database,
) -> None:
    record_packets(database, [Packet(1, midnight(DAY, LONDON) + 1860, 10)])
    now = midnight(date(2025, 6, 1), LONDON) + DELAY_S + 86_400
    assert ("UTC", "2025-02-08", 1, 0) in closed_days(database, now)
    record_packets(database, [Packet(1, midnight(DAY, LONDON) + 1860, 11)])
    assert closed_days(database, now) == [("UTC", "2025-02-08", 1, 1)]


def test_a_run_stops_when_its_lease_is_lost(database: Database) -> None:
    record_packets(database, [Packet(1, midnight(DAY, LONDON) + 1860, 10)])
    now = midnight(date(2025, 6, 1), LONDON)
    assert close_ended_days(database, now=now, delay_s=0, still_ours=lambda: False) == []
    with database.reading() as connection:
        assert not is_closed(connection, day=DAY, zone="UTC")


def test_a_day_that_cannot_be_read_keeps_no_later_day_open(database: Database) -> None:
    noon = midnight(DAY, LONDON) + 12 * 3600
    now = midnight(NEXT_DAY, LONDON) + DELAY_S
    record_packets(database, [Packet(1, noon, 10)])
    closed_days(database, now)
    with database.writing() as connection:
        connection.execute(sa.update(ledger).values(intervals=b"\0"))
    record_packets(database, [Packet(1, noon + 1800, 10), Packet(1, noon + 86_400, 20)])

    with pytest.raises(UnreadableAmountsError):
        closed_days(database, now + 2 * 86_400)

    with database.reading() as connection:
        assert is_closed(connection, day=NEXT_DAY, zone="UTC")
        left = connection.scalars(sa.select(daybook.c.starts_at)).all()
    assert left == [noon]
