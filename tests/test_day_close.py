"""Day close: daybook to ledger, on both engines."""

from datetime import date
from zoneinfo import ZoneInfo

from meterbook import day_close, ledger
from meterbook.domain.local_days import day_number, interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.storage.database import Database

DAY = date(2025, 2, 8)
UTC = ZoneInfo("UTC")
NOW = 1_760_000_000


def record(database: Database, *packets: Packet) -> None:
    PacketRecorder(database, default_zone="UTC").record([Arrival(p, None) for p in packets])


def test_a_seed_day_of_47_packets_closes_to_their_sum_with_the_last_half_hour_missing(
    database: Database,
) -> None:
    starts = list(interval_starts(DAY, UTC))[:47]
    record(database, *[Packet(999999999, start + 1860, 100 + i) for i, start in enumerate(starts)])

    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW)

    assert (close.channel_days, close.readings, close.revised) == (1, 47, 0)
    with database.reading() as connection:
        [closed] = ledger.days_of_channel(
            connection, channel_id=1, first_day=day_number(DAY), end_day=day_number(DAY) + 1
        )
    assert closed.energy == sum(range(100, 147))
    assert closed.intervals == [*range(100, 147), None]
    assert closed.missing == 1


def test_a_late_reading_of_a_closed_day_leads_to_the_next_revision_and_keeps_the_old_one(
    database: Database,
) -> None:
    first = interval_starts(DAY, UTC)[0]
    record(database, Packet(1, first + 1860, 100))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    record(database, Packet(1, first + 1860 + 1800, 50), Packet(1, first + 1860, 70))

    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW)

    assert (close.readings, close.revised) == (2, 1)
    with database.reading() as connection:
        newest, oldest = ledger.revisions(connection, channel_id=1, day=day_number(DAY))
    assert (newest.revision, newest.closed.energy) == (2, 120)
    assert (oldest.revision, oldest.closed.energy) == (1, 100)


def test_closing_again_with_nothing_new_changes_nothing(database: Database) -> None:
    first = interval_starts(DAY, UTC)[0]
    record(database, Packet(1, first + 1860, 100))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)

    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW + 1)

    assert (close.channel_days, close.readings) == (0, 0)
