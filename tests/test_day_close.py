"""Day close: daybook to ledger, on both engines."""

import threading
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from books import wait_until_done_or_locked_out
from meterbook import day_close, ledger
from meterbook.domain.closed_days import ClosedDay, closed_day
from meterbook.domain.local_days import day_number, interval_starts
from meterbook.domain.readings import Quality
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.queries.invariants import CHECKS, broken_ledger_days
from meterbook.registry.meter_points import change_meter_point
from meterbook.registry.refusals import InUseError
from meterbook.storage.database import Database
from meterbook.storage.tables import day_closes, ledger_days, ledger_revisions
from meterbook.storage.tables import ledger as ledger_table

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


def test_a_day_written_as_messagepack_is_read_verified_and_revised_like_any_other(
    database: Database,
) -> None:
    starts = list(interval_starts(DAY, UTC))
    record(database, *[Packet(1, start + 1860, 100 + i) for i, start in enumerate(starts[:-1])])
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    before = msgspec.msgpack.encode([*range(100, 147), None])
    with database.writing() as connection:
        connection.execute(sa.update(ledger_table).values(intervals=before))
    with database.reading() as connection:
        assert not list(broken_ledger_days(connection))
    record(database, Packet(1, starts[-1] + 1860, 7))

    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW)

    assert close.revised == 1
    with database.reading() as connection:
        newest, oldest = ledger.revisions(connection, channel_id=1, day=day_number(DAY))
        kept = connection.execute(sa.select(ledger_revisions.c.intervals)).scalar_one()
    assert newest.closed.intervals == [*range(100, 147), 7]
    assert oldest.closed.intervals == [*range(100, 147), None]
    assert bytes(kept) == before


def test_every_revision_knows_when_it_was_written(database: Database) -> None:
    first = interval_starts(DAY, UTC)[0]
    record(database, Packet(1, first + 1860, 100), Packet(2, first + 1860, 100))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    record(database, Packet(2, first + 1860, 70), Packet(3, first + 1860, 70))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW + 60)

    with database.reading() as connection:
        written = [
            [entry.closed_at - NOW for entry in ledger.revisions(connection, channel_id=n, day=day)]
            for n, day in ((n, day_number(DAY)) for n in (1, 2, 3))
        ]
        assert not list(broken_ledger_days(connection))
    assert written == [[0], [60, 0], [60]]


def test_verify_finds_a_day_of_which_nothing_says_when_it_was_closed(
    sqlite_database: Database,
) -> None:
    record(sqlite_database, Packet(1, interval_starts(DAY, UTC)[0] + 1860, 100))
    day_close.close_day(sqlite_database, day=DAY, zone=UTC, now=NOW)
    with sqlite_database.writing() as connection:
        connection.execute(sa.delete(ledger_days))

    with sqlite_database.reading() as connection:
        [found] = broken_ledger_days(connection)
    assert found == "ledger: channel 1, 2025-02-08: nothing says when it was closed"


def test_a_revision_of_what_is_no_longer_so_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = interval_starts(DAY, UTC)[0]
    record(database, Packet(1, first + 1860, 100))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    number = day_number(DAY)
    asked = {"channel_id": 1, "first_day": number, "end_day": number + 1}
    with database.reading() as connection:
        [was] = ledger.days_of_channel(connection, **asked)
    day = closed_day(1, number, intervals=[5], qualities=[Quality.RAW])

    def revise(was: ClosedDay) -> None:
        with database.writing() as connection:
            ledger.revise_days(connection, [(was, day)], revised_at=NOW, reason="test")

    with pytest.raises(ledger.ConcurrentRevisionError):
        revise(msgspec.structs.replace(was, intervals=[101, *was.intervals[1:]]))
    # Another revises it between the look at it and the change: it has another number by then.
    monkeypatch.setattr(ledger, "_standing", lambda *_: {(number, 1): (was, 7)})
    with pytest.raises(ledger.ConcurrentRevisionError):
        revise(was)
    with database.reading() as connection:
        assert ledger.days_of_channel(connection, **asked) == [was]


def test_closing_again_with_nothing_new_changes_nothing(database: Database) -> None:
    first = interval_starts(DAY, UTC)[0]
    record(database, Packet(1, first + 1860, 100))
    day_close.close_day(database, day=DAY, zone=UTC, now=NOW)

    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW + 1)

    assert (close.channel_days, close.readings) == (0, 0)


@pytest.mark.parametrize("strangers", [0, 1], ids=["alone", "among-others"])
def test_a_meter_whose_zone_changes_while_its_day_is_closed_keeps_its_readings_for_its_own_day(
    database: Database, monkeypatch: pytest.MonkeyPatch, strangers: int
) -> None:
    starts = interval_starts(DAY, UTC)
    meters = range(1, 3 + strangers)
    record(database, *[Packet(meter, start + 1860, 10) for meter in meters for start in starts])
    find_chunks = day_close._next_chunks

    def then_change_the_zone(*args: Any, **options: Any) -> Any:
        chunks = find_chunks(*args, **options)
        with database.writing() as connection:
            changes = {"zone": "Asia/Tokyo"}
            change_meter_point(connection, meter_point_id=2, changes=changes, by=None, now=NOW)
        return chunks

    monkeypatch.setattr(day_close, "_next_chunks", then_change_the_zone)
    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    monkeypatch.undo()

    assert (close.channel_days, close.readings) == (1 + strangers, 48 * (1 + strangers))
    tokyo = ZoneInfo("Asia/Tokyo")
    close = day_close.close_day(database, day=DAY, zone=tokyo, now=NOW)
    assert (close.channel_days, close.readings) == (1, 30)  # from midnight UTC to 15:00
    assert findings(database) == []


def test_a_zone_does_not_change_under_a_close(plain_postgres_url: str) -> None:
    database = Database(plain_postgres_url)
    record(database, *[Packet(1, start + 1860, 10) for start in interval_starts(DAY, UTC)])
    refused: list[Exception] = []

    def change_the_zone() -> None:
        changes = {"zone": "Asia/Tokyo"}
        try:
            with database.writing() as connection:
                change_meter_point(connection, meter_point_id=1, changes=changes, by=None, now=NOW)
        except InUseError as error:
            refused.append(error)

    changing = threading.Thread(target=change_the_zone)

    def close(connection: sa.Connection) -> int:
        connection.exec_driver_sql("SELECT 1")  # from here on it sees the book as it is now
        changing.start()
        wait_until_done_or_locked_out(database, changing)
        return day_close.close_channels(
            connection, channel_ids=np.array([1]), interval_s=1800, day=DAY, zone=UTC, now=NOW
        )

    assert day_close.in_serial_transaction(database, close) == 48
    changing.join()
    assert len(refused) == 1
    assert findings(database) == []
    database.close()


def test_the_calendar_s_last_day_is_not_over(database: Database) -> None:
    with pytest.raises(day_close.DayNotOverError):
        day_close.close_day(database, day=date.max, zone=UTC, now=NOW)


def findings(database: Database) -> list[str]:
    with database.reading() as connection:
        return [finding for check in CHECKS.values() for finding in check(connection)]


def test_a_day_closed_by_two_at_once_is_closed_by_both(
    plain_postgres_url: str,
) -> None:
    database = Database(plain_postgres_url)
    starts = interval_starts(DAY, UTC)
    record(database, *[Packet(1, start + 1860, 10) for start in starts])
    by_hand = threading.Thread(
        target=day_close.close_day, args=[database], kwargs={"day": DAY, "zone": UTC, "now": NOW}
    )

    def close_by_hand(connection: sa.Connection, _cursor: Any, text: str, *_: Any) -> None:
        if "day_closes" in text and by_hand.ident is None:
            record(database, Packet(1, starts[0] + 1860, 20))
            by_hand.start()
            wait_until_done_or_locked_out(database, by_hand)

    sa.event.listen(database._writer, "after_cursor_execute", close_by_hand)
    close = day_close.close_day(database, day=DAY, zone=UTC, now=NOW)
    by_hand.join()

    assert close.readings == 48
    with database.reading() as connection:
        told = connection.execute(sa.select(day_closes)).one()
    assert (told.channel_days, told.readings, told.revised) == (1, 49, 1)
    database.close()
