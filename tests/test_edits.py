"""Edits: what an operator entered counts, whatever arrives afterwards, until it is withdrawn."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import record_packets, rows_in
from meterbook import ledger
from meterbook.bulk_load import load
from meterbook.bulk_load.loader import in_one_transaction, load_channels
from meterbook.day_close import close_day
from meterbook.domain.closed_days import Merged, closed_day, merge
from meterbook.domain.local_days import day_number, interval_starts, midnight
from meterbook.domain.periods import Resolution, free_period
from meterbook.domain.reading_columns import reading_columns
from meterbook.domain.readings import Quality
from meterbook.edits import Edit, EditedChannel, NotEditableError, edit_readings
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Answer, Stored
from meterbook.queries.channel_days import channel_days
from meterbook.queries.conflicts import conflicts
from meterbook.queries.consumption import consumption
from meterbook.queries.day_readings import day_readings
from meterbook.queries.invariants import CHECKS
from meterbook.queries.meter_places import meter_place
from meterbook.registry import audit
from meterbook.registry.meter_points import change_meter_point
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.tables import audit_entries, superseded_readings
from meterbook.storage.tables import ledger as ledger_table

ZONE = ZoneInfo("Europe/London")
FIRST = date(2025, 3, 29)
DAYS = [FIRST + timedelta(days=offset) for offset in range(3)]  # the clocks change on the second
STARTS = [start for day in DAYS for start in interval_starts(day, ZONE)]
NOW = midnight(DAYS[2], ZONE) + 20 * 3600  # the third is not over
ENDED = [start for start in STARTS if start + 1800 <= NOW]
METER = 7
E = Quality.EDITED
R = Quality.RAW


def channel() -> EditedChannel:
    """Return the first channel of the book: METER's."""
    return EditedChannel(1, 1800, ZONE, "packet-meters/7/readings")


def send(database: Database, start: int, energy_wh: int) -> list[Answer]:
    return record_packets(database, [Packet(METER, start + 1860, energy_wh)], zone=ZONE.key)


def edit(database: Database, *edits: Edit, now: int = NOW) -> int:
    return edit_readings(
        database, edits, channel=channel(), reason="a wire was loose", by=None, now=now
    )


def close(database: Database, *days: date) -> None:
    for day in days:
        close_day(database, day=day, zone=ZONE, now=NOW)


def counting(database: Database) -> dict[int, tuple[int, Quality]]:
    """Return what a reader sees, by the interval's start."""
    found: dict[int, tuple[int, Quality]] = {}
    with database.reading() as connection:
        for day in channel_days(
            connection,
            channel_id=1,
            interval_s=1800,
            first_day=DAYS[0],
            end_day=DAYS[-1] + timedelta(days=1),
            zone=ZONE,
        ):
            for index, amount in enumerate(day.amounts):
                if amount is not None:
                    quality = day.quality if day.qualities is None else day.qualities[index]
                    found[day.starts_at + index * day.interval_s] = (amount, Quality(quality))
    return found


def kept(database: Database) -> list[tuple[int, int]]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(superseded_readings.c.amount, superseded_readings.c.quality).order_by(
                superseded_readings.c.id
            )
        )
        return [(row[0], row[1]) for row in rows]


def assert_in_order(database: Database) -> None:
    for check in CHECKS.values():
        with database.reading() as connection:
            assert list(check(connection)) == []


def test_an_edit_of_an_open_day_counts_and_the_meter_s_own_reading_is_kept(
    database: Database,
) -> None:
    start = ENDED[-1]
    send(database, start, 999_000)

    changed = edit(database, Edit(start, 420))

    assert changed == 1
    assert counting(database) == {start: (420, E)}
    assert kept(database) == [(999_000, R)]
    assert_in_order(database)


def test_an_edit_of_a_closed_day_is_its_next_revision_at_once(database: Database) -> None:
    start = ENDED[3]
    send(database, start, 999_000)
    close(database, FIRST)

    edit(database, Edit(start, 420), Edit(ENDED[4], 100))

    with database.reading() as connection:
        newest, oldest = ledger.revisions(connection, channel_id=1, day=day_number(FIRST))
    assert (newest.revision, newest.closed.energy) == (2, 520)
    assert (oldest.revision, oldest.closed.energy) == (1, 999_000)
    assert kept(database) == [(999_000, R)]
    assert_in_order(database)


def test_an_edit_of_an_ended_day_takes_what_waits_for_it_along(database: Database) -> None:
    send(database, ENDED[0], 1)
    send(database, ENDED[1], 2)

    edit(database, Edit(ENDED[1], 50))

    assert counting(database) == {ENDED[0]: (1, R), ENDED[1]: (50, E)}
    assert_in_order(database)


@pytest.mark.parametrize("start", [ENDED[0], ENDED[-1]], ids=["closed day", "open day"])
def test_what_the_meter_sends_after_an_edit_is_kept_and_does_not_count(
    database: Database, start: int
) -> None:
    send(database, start, 999_000)
    close(database, FIRST)
    edit(database, Edit(start, 420))

    for energy_wh in (7, 7, 999_000, 999_000):
        [answer] = send(database, start, energy_wh)
        assert isinstance(answer, Stored)
        assert counting(database) == {start: (420, E)}
        close(database, FIRST)

    assert counting(database) == {start: (420, E)}
    assert kept(database) == [(999_000, R), (7, R), (999_000, R)]
    assert_in_order(database)


@pytest.mark.parametrize("start", [ENDED[0], ENDED[-1]], ids=["closed day", "open day"])
def test_a_withdrawn_edit_lets_what_arrived_last_count_again(
    database: Database, start: int
) -> None:
    send(database, start, 999_000)
    edit(database, Edit(start, 420))
    send(database, start, 7)

    edit(database, Edit(start, None))

    assert counting(database) == {start: (7, R)}
    assert (420, E) in kept(database)
    send(database, start, 8)
    assert counting(database) == {start: (8, R)}
    assert_in_order(database)


@pytest.mark.parametrize("start", [ENDED[0], ENDED[-1]], ids=["closed day", "open day"])
def test_a_withdrawn_edit_of_a_missing_reading_leaves_it_missing(
    database: Database, start: int
) -> None:
    send(database, ENDED[5], 1)  # so that the meter is known
    edit(database, Edit(start, 420))

    edit(database, Edit(start, None))

    assert counting(database) == {ENDED[5]: (1, R)}
    assert kept(database) == [(420, E)]
    assert_in_order(database)


def test_an_edit_that_says_what_stands_changes_nothing_and_is_not_in_the_audit_log(
    database: Database,
) -> None:
    send(database, ENDED[0], 1)
    edit(database, Edit(ENDED[0], 2), Edit(ENDED[-1], 3))
    before = rows_in(database, audit_entries, superseded_readings)

    assert edit(database, Edit(ENDED[0], 2), Edit(ENDED[-1], 3)) == 0

    assert rows_in(database, audit_entries, superseded_readings) == before


def test_the_audit_log_says_what_counted_before_and_after_and_why(database: Database) -> None:
    send(database, ENDED[0], 999_000)

    edit(database, Edit(ENDED[0], 420), Edit(ENDED[1], 5))

    with database.reading() as connection:
        [entry] = audit.entries(connection, subject="packet-meters/7/readings")
    assert entry.action == "edit readings"
    assert entry.before == {
        "readings": [
            {"starts_at": "2025-03-29T00:00:00Z", "energy_wh": 999_000, "quality": "raw"},
            {"starts_at": "2025-03-29T00:30:00Z", "energy_wh": None, "quality": None},
        ]
    }
    assert entry.after == {
        "reason": "a wire was loose",
        "readings": [
            {"starts_at": "2025-03-29T00:00:00Z", "energy_wh": 420, "quality": "edited"},
            {"starts_at": "2025-03-29T00:30:00Z", "energy_wh": 5, "quality": "edited"},
        ],
    }


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Edit(ENDED[0] + 60, 1), "no interval begins then"),
        (Edit(ENDED[-1] + 1800, 1), "has not ended"),
        (Edit(ENDED[-1] + 60, 1), "no interval begins then"),
        (Edit(ENDED[0], None), "was not edited"),
        (Edit(ENDED[1], None), "was not edited"),
        (Edit(ENDED[-1], None), "was not edited"),
    ],
    ids=[
        "off the grid", "not over", "off the grid today", "withdrawn but raw",
        "withdrawn but missing", "withdrawn but missing today",
    ],
)  # fmt: skip
def test_one_edit_that_cannot_be_refuses_all_of_them(
    database: Database, wrong: Edit, reason: str
) -> None:
    send(database, ENDED[0], 1)
    close(database, FIRST)

    with pytest.raises(NotEditableError, match=reason) as refused:
        edit(database, Edit(ENDED[2], 5), Edit(ENDED[-2], 5), wrong)

    assert refused.value.starts_at == wrong.starts_at
    assert counting(database) == {ENDED[0]: (1, R)}
    assert rows_in(database, audit_entries) == [0]


def test_a_day_known_as_one_total_is_edited_as_one(database: Database) -> None:
    send(database, ENDED[0], 1)
    total = closed_day(1, day_number(FIRST), intervals=[9_000], qualities=[Quality.VALID])
    with database.writing() as connection:
        ledger.write_days(connection, [total], closed_at=NOW)
        connection.execute(sa.text("DELETE FROM daybook"))

    with pytest.raises(NotEditableError, match="each has 1440 minutes"):
        edit(database, Edit(ENDED[1], 5))
    edit(database, Edit(ENDED[0], 8_000))

    with database.reading() as connection:
        [entry, _] = ledger.revisions(connection, channel_id=1, day=day_number(FIRST))
    assert (entry.closed.intervals, entry.closed.quality) == ([8_000], E)


def load_file(
    database: Database, starts: list[int], amounts: list[int], *, length_s: int = 1800
) -> None:
    said = reading_columns(
        np.ones(len(starts), dtype=np.int64), np.array(starts), np.array(amounts)
    )
    in_one_transaction(
        database,
        lambda connection: load_channels(
            connection, said, zone=ZONE, now=NOW, file_interval_s=length_s
        ),
    )


def test_a_withdrawn_edit_of_a_day_s_total_gives_the_total_back_not_a_half_hour(
    database: Database,
) -> None:
    send(database, ENDED[-1], 1)
    load_file(database, [ENDED[0]], [9_000], length_s=86_400)
    edit(database, Edit(ENDED[0], 8_000))
    send(database, ENDED[0], 300)
    close(database, FIRST)

    edit(database, Edit(ENDED[0], None))

    assert counting(database)[ENDED[0]] == (9_000, R)
    assert (300, R) in kept(database)


@pytest.mark.parametrize("sent", [[], [7]], ids=["was missing", "was sent"])
def test_a_withdrawn_edit_of_a_half_hour_does_not_become_the_total_of_its_day(
    database: Database, sent: list[int]
) -> None:
    send(database, ENDED[1], 8)
    for energy_wh in sent:
        send(database, ENDED[0], energy_wh)
    edit(database, Edit(ENDED[0], 420))
    load_file(database, [ENDED[0]], [9_000], length_s=86_400)
    assert (9_000, R) in kept(database)

    edit(database, Edit(ENDED[0], None))

    assert counting(database).get(ENDED[0]) == ((7, R) if sent else None)
    with database.reading() as connection:
        total = next(one for one in conflicts(connection, limit=9) if one.superseded == 9_000)
    assert total.starts_at == "2025-03-29T00:00:00Z"
    assert_in_order(database)


def test_of_two_values_of_one_file_the_last_counts_when_an_edit_is_withdrawn(
    database: Database,
) -> None:
    send(database, ENDED[0], 999_000)
    edit(database, Edit(ENDED[0], 420))
    load_file(database, [ENDED[0], ENDED[0]], [5, 7])

    edit(database, Edit(ENDED[0], None))

    assert counting(database) == {ENDED[0]: (7, R)}


def test_a_day_whose_only_reading_was_an_edit_withdrawn_is_missing_and_not_nothing(
    database: Database,
) -> None:
    send(database, ENDED[-1], 1)
    edit(database, Edit(ENDED[0], 420))
    edit(database, Edit(ENDED[0], None))

    with database.reading() as connection:
        place = meter_place(connection, meter_id=METER)
        assert place
        period = free_period(FIRST, DAYS[1], zone=ZONE)
        for resolution in (Resolution.DAY, Resolution.MONTH):
            [point] = consumption(
                connection, place=place, period=period, resolution=resolution, now=NOW
            ).points
            assert (point.energy_kwh, point.quality, point.missing_intervals) == (None, None, 48)


@pytest.mark.parametrize("day", [date.min, date(1969, 12, 31), DAYS[2] + timedelta(2), date.max])
def test_of_a_day_before_the_books_or_to_come_there_are_no_readings(
    database: Database, day: date
) -> None:
    record_packets(database, [Packet(METER, ENDED[0] + 1860, 1)], zone="Asia/Singapore")
    with database.reading() as connection:
        place = meter_place(connection, meter_id=METER)
        assert place
        assert day_readings(connection, place=place, day=day, now=NOW).readings == []


@pytest.mark.parametrize("stands", [False, True], ids=["file is newer", "book is newer"])
def test_an_imported_file_does_not_undo_an_edit(database: Database, stands: bool) -> None:
    send(database, ENDED[0], 999_000)
    edit(database, Edit(ENDED[0], 420), Edit(ENDED[-1], 5))

    for _ in range(2):
        said = reading_columns(
            np.array([1, 1, 1]), np.array([ENDED[0], ENDED[1], ENDED[-1]]), np.array([30, 31, 32])
        )
        load(
            database,
            channel_id=said.source,
            starts_at=said.starts_at,
            amount=said.amount,
            quality=said.quality,
            zone=ZONE,
            now=NOW,
            book_stands=stands,
        )

    assert counting(database) == {ENDED[0]: (420, E), ENDED[1]: (31, R), ENDED[-1]: (5, E)}
    assert sorted(kept(database)) == (
        [(999_000, R)] if stands else [(30, R), (32, R), (999_000, R)]
    )
    assert_in_order(database)


def test_a_total_of_a_day_does_not_undo_an_edit_of_one_of_its_half_hours() -> None:
    halves = closed_day(1, 0, intervals=[1, 2], qualities=[R, E])
    total = closed_day(1, 0, intervals=[30], qualities=[R])

    assert merge(halves, total) == Merged(halves, [(0, 30, R)], 1, overruled=True)
    assert merge(halves, total, edits_stand=False).day == total


def test_the_day_s_readings_tell_what_counts_and_what_does_not(database: Database) -> None:
    send(database, ENDED[0], 999_000)
    edit(database, Edit(ENDED[0], 420))

    with database.reading() as connection:
        place = meter_place(connection, meter_id=METER)
        assert place
        first, second = day_readings(connection, place=place, day=FIRST, now=NOW).readings[:2]
        today = day_readings(connection, place=place, day=DAYS[2], now=NOW).readings
        short = day_readings(connection, place=place, day=DAYS[1], now=NOW).readings

    assert (first.starts_at, first.energy_kwh, first.quality) == (
        "2025-03-29T00:00:00+00:00", 0.42, "edited",
    )  # fmt: skip
    assert [(e.energy_kwh, e.quality) for e in first.earlier] == [(999.0, "raw")]
    assert (second.energy_kwh, second.quality, second.earlier) == (None, None, [])
    assert len(today) == 40
    assert len(short) == 46


Event = tuple[str, int, int]
SLOTS = [ENDED[0], ENDED[1], ENDED[60], ENDED[-1]]


@pytest.fixture
def emptied(sqlite_database: Database) -> Database:
    """Give a database that each example empties for itself."""
    return sqlite_database


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("packet"), st.integers(0, 3), st.integers(0, 3)),
            st.tuples(st.just("edit"), st.integers(0, 3), st.integers(0, 3)),
            st.tuples(st.just("withdraw"), st.integers(0, 3), st.just(0)),
            st.tuples(st.just("close"), st.integers(0, 1), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_comes_in_between_an_edit_counts_until_withdrawn_and_then_what_arrived_last(
    emptied: Database, events: list[Event]
) -> None:
    with emptied.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not audit_entries:  # append-only
                connection.execute(table.delete())
    send(emptied, ENDED[9], 1)
    arrived: dict[int, int] = {ENDED[9]: 1}
    edited: dict[int, int] = {}
    for kind, which, energy_wh in events:
        start = SLOTS[which]
        if kind == "close":
            close(emptied, DAYS[which])
        elif kind == "packet":
            send(emptied, start, energy_wh)
            arrived[start] = energy_wh
        elif kind == "edit":
            edit(emptied, Edit(start, energy_wh))
            edited[start] = energy_wh
        elif start in edited:
            edit(emptied, Edit(start, None))
            del edited[start]
        else:
            with pytest.raises(NotEditableError):
                edit(emptied, Edit(start, None))
        expected = {at: (amount, R) for at, amount in arrived.items()}
        assert counting(emptied) == expected | {at: (wh, E) for at, wh in edited.items()}
    assert_in_order(emptied)


def test_an_edit_is_done_however_often_other_entries_of_the_audit_log_come_first(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url)
    send(database, ENDED[0], 500)
    left = list(range(20))
    record = audit.record

    def overtaken(connection: sa.Connection, **entry: Any) -> None:
        if left:
            left.pop()
            with database.writing() as other:
                record(other, by=None, action="add", subject="users/1", now=NOW)
        record(connection, **entry)

    monkeypatch.setattr(audit, "record", overtaken)
    assert edit(database, Edit(ENDED[0], 700)) == 1
    assert counting(database)[ENDED[0]] == (700, E)
    assert not left
    assert_in_order(database)
    database.close()


def test_an_edit_of_a_day_of_the_zone_that_the_meter_was_in_is_refused(database: Database) -> None:
    send(database, ENDED[0], 500)
    with database.writing() as connection:
        changes = {"zone": "Asia/Tokyo"}
        change_meter_point(connection, meter_point_id=1, changes=changes, by=None, now=NOW)

    with pytest.raises(NotEditableError, match="no longer in Europe/London"):
        edit(database, Edit(ENDED[1], 420))

    assert_in_order(database)
    assert rows_in(database, ledger_table) == [0]
