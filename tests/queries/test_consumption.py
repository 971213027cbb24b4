"""Consumption: parts add up to the whole, in every resolution, zone and book."""

import itertools
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import record_packets
from meterbook.day_close import close_day
from meterbook.daybook import record_readings
from meterbook.domain.closed_days import DaySums
from meterbook.domain.local_days import day_bounds, grid_offset_s, interval_starts, midnight
from meterbook.domain.periods import Resolution, free_period, named_period
from meterbook.domain.readings import Quality, Reading
from meterbook.domain.units import wh_to_kwh
from meterbook.intake.packet_fields import Packet
from meterbook.queries.channel_days import Span, channel_day_sums
from meterbook.queries.consumption import (
    Asked,
    Consumption,
    consumption,
    consumption_of,
    consumptions,
    days_of_period,
)
from meterbook.queries.meter_places import MeterPlace, meter_place, meter_places
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata

NOW = 1_790_000_000
CLOCK_CHANGES = [
    ("Europe/London", date(2025, 3, 30), 46),
    ("Europe/London", date(2025, 10, 26), 50),
    ("Europe/Warsaw", date(2025, 3, 30), 46),
    ("Europe/Warsaw", date(2025, 10, 26), 50),
    ("Australia/Lord_Howe", date(2025, 4, 6), 49),
    ("Australia/Lord_Howe", date(2025, 10, 5), 47),
    ("Asia/Kathmandu", date(2025, 6, 1), 48),
    ("UTC", date(2025, 6, 1), 48),
]


def ask(
    database: Database, first: date, end: date, *, resolution: Resolution, now: int = NOW
) -> Consumption:
    with database.reading() as connection:
        place = meter_place(connection, meter_id=1)
        assert place is not None
        period = free_period(first, end, zone=ZoneInfo(place.zone))
        return consumption(connection, place=place, period=period, resolution=resolution, now=now)


def fill(database: Database, days: list[date], zone: str) -> dict[int, int]:
    starts = [start for day in days for start in interval_starts(day, ZoneInfo(zone))]
    amounts = {start: 1 + index * 37 % 2500 for index, start in enumerate(starts)}
    packets = [Packet(1, start + 1860, amount) for start, amount in amounts.items()]
    record_packets(database, packets, zone=zone)
    return amounts


def points_wh(answer: Consumption) -> int:
    return sum(round((point.energy_kwh or 0) * 1000) for point in answer.points)


@pytest.mark.parametrize("closed", ["open", "closed", "closed and late"])
@pytest.mark.parametrize(("zone", "day", "half_hours"), CLOCK_CHANGES)
def test_the_parts_of_a_clock_change_day_add_up_in_every_resolution(
    database: Database, zone: str, day: date, half_hours: int, closed: str
) -> None:
    days = [day - timedelta(days=1), day, day + timedelta(days=1)]
    amounts = fill(database, days, zone)
    begins_at, ends_at = day_bounds(day, ZoneInfo(zone))
    if closed != "open":
        for each in days:
            close_day(database, day=each, zone=ZoneInfo(zone), now=NOW)
    if closed == "closed and late":
        record_packets(database, [Packet(1, begins_at + 1860, 99_999)], zone=zone)
        amounts[begins_at] = 99_999
    energy_wh = sum(amount for start, amount in amounts.items() if begins_at <= start < ends_at)

    for resolution in Resolution:
        answer = ask(database, day, day + timedelta(days=1), resolution=resolution)
        assert answer.total_kwh == wh_to_kwh(energy_wh)
        assert points_wh(answer) == energy_wh
        assert answer.missing_intervals == 0
    assert len(ask(database, day, days[2], resolution=Resolution.HALF_HOUR).points) == half_hours


def test_the_repeated_hour_is_two_points_with_their_own_offsets(database: Database) -> None:
    day = date(2025, 10, 26)
    fill(database, [day], "Europe/London")
    answer = ask(database, day, day + timedelta(days=1), resolution=Resolution.HOUR)
    assert [point.starts_at for point in answer.points[:4]] == [
        "2025-10-26T00:00:00+01:00",
        "2025-10-26T01:00:00+01:00",
        "2025-10-26T01:00:00+00:00",
        "2025-10-26T02:00:00+00:00",
    ]
    assert len(answer.points) == 25


def test_missing_is_null_and_counted_and_what_is_still_to_come_is_neither(
    database: Database,
) -> None:
    day = date(2025, 2, 8)
    start = midnight(day, ZoneInfo("UTC"))
    record_packets(database, [Packet(1, start + 1860, 0), Packet(1, start + 3 * 1800 + 60, 7)])
    now = start + 4 * 1800 + 120

    answer = ask(database, day, day + timedelta(days=1), resolution=Resolution.HALF_HOUR, now=now)

    assert [point.energy_kwh for point in answer.points] == [0.0, None, 0.007, None]
    assert [point.quality for point in answer.points] == ["raw", None, "raw", None]
    assert answer.missing_intervals == 2
    assert answer.total_kwh == 0.007


def test_a_period_without_any_reading_is_all_missing_and_totals_zero(database: Database) -> None:
    record_packets(database, [Packet(1, 1_738_974_660, 5)])
    answer = ask(database, date(2025, 1, 1), date(2025, 1, 3), resolution=Resolution.DAY)
    assert [(p.energy_kwh, p.missing_intervals) for p in answer.points] == [(None, 48)] * 2
    assert (answer.total_kwh, answer.missing_intervals) == (0.0, 96)


zones = st.sampled_from(sorted({zone for zone, _, _ in CLOCK_CHANGES}))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    zones,
    st.dictionaries(st.integers(0, 48 * 70), st.integers(0, 1_000_000), max_size=60),
    st.sets(st.integers(0, 69), max_size=10),
)
def test_every_period_and_resolution_agree_on_every_total(
    sqlite_database: Database, zone: str, readings: dict[int, int], closed: set[int]
) -> None:
    database = sqlite_database
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    where = ZoneInfo(zone)
    first = date(2025, 3, 1)
    begin = midnight(first, where)
    assert (begin - grid_offset_s(where)) % 1800 == 0
    amounts = {begin + slot * 1800: amount for slot, amount in readings.items()}
    packets = [Packet(1, start + 1860, amount) for start, amount in amounts.items()]
    record_packets(database, packets or [Packet(1, begin + 1860, 0)], zone=zone)
    for offset in closed:
        close_day(database, day=first + timedelta(days=offset), zone=where, now=NOW)

    end = first + timedelta(days=75)
    answers = [ask(database, first, end, resolution=resolution) for resolution in Resolution]
    assert {answer.total_kwh for answer in answers} == {wh_to_kwh(sum(amounts.values()))}
    assert {points_wh(answer) for answer in answers} == {sum(amounts.values())}
    assert len({answer.missing_intervals for answer in answers}) == 1
    assert all(
        sum(point.missing_intervals for point in answer.points) == answer.missing_intervals
        for answer in answers
    )
    whole = answers[0].total_kwh * 1000
    months = [date(2025, 3, 1), date(2025, 4, 1), date(2025, 5, 1), end]
    parts = [
        ask(database, a, b, resolution=Resolution.DAY).total_kwh * 1000
        for a, b in itertools.pairwise(months)
    ]
    assert round(sum(parts)) == round(whole)


def test_named_periods_of_one_meter_agree_with_free_ranges(database: Database) -> None:
    zone = ZoneInfo("Europe/Warsaw")
    days = [date(2025, 3, 24) + timedelta(days=offset) for offset in range(14)]
    fill(database, days, zone.key)
    now = midnight(date(2025, 4, 2), zone) + 600
    with database.reading() as connection:
        place = meter_place(connection, meter_id=1)
        assert place is not None
        period = named_period("prev-week", now=now, zone=zone)
        week = consumption(
            connection, place=place, period=period, resolution=Resolution.DAY, now=now
        )
    same = ask(database, date(2025, 3, 24), date(2025, 3, 31), resolution=Resolution.HALF_HOUR)
    assert week.total_kwh == same.total_kwh
    assert len(week.points) == 7


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), zones, st.integers(0, 4 * 86_400))
def test_sums_of_days_say_what_their_intervals_say(
    sqlite_database: Database, data: st.DataObject, zone: str, now_s: int
) -> None:
    """Of days closed, open, late, of mixed quality, not over, and skipped by the clock."""
    database = sqlite_database
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    where, first = ZoneInfo(zone), date(2025, 3, 29)
    days = [first + timedelta(days=offset) for offset in range(4)]
    record_packets(database, [Packet(1, NOW, 1), Packet(2, NOW, 1)], zone=zone)
    with database.reading() as connection:
        places = meter_places(connection, [1, 2, 3])
    assert sorted(places) == [1, 2]

    def record(at_most: int) -> None:
        readings = data.draw(st.lists(_readings(places, days, where), max_size=at_most))
        with database.writing() as connection:
            record_readings(connection, readings, received_at_ms=1)

    record(150)
    for day in data.draw(st.sets(st.sampled_from(days))):
        close_day(database, day=day, zone=where, now=NOW)
    record(5)
    now = midnight(first, where) + now_s
    resolution = data.draw(st.sampled_from([Resolution.DAY, Resolution.WEEK, Resolution.MONTH]))
    asked = [
        Asked(place, free_period(start, end, zone=where), resolution)
        for place in places.values()
        for start, end in [(first, days[-1]), (days[1], days[-1] + timedelta(days=1))]
    ]
    with database.reading() as connection:
        _require_same_bytes(connection, asked, now=now)


@pytest.mark.parametrize("zone", ["Europe/London", "Australia/Lord_Howe", "UTC"])
def test_days_that_are_sums_alone_are_written_as_their_intervals_are(
    database: Database, zone: str
) -> None:
    where, first = ZoneInfo(zone), date(2025, 3, 29)
    days = [first + timedelta(days=offset) for offset in range(10)]
    record_packets(database, [Packet(1, NOW, 1), Packet(2, NOW, 1)], zone=zone)
    with database.reading() as connection:
        places = meter_places(connection, [1, 2])
    qualities = itertools.cycle([Quality.RAW, Quality.ESTIMATED_LIKE_DAY, Quality.VALID])
    with database.writing() as connection:
        for place, day in itertools.product(places.values(), days):
            one, starts = next(qualities), interval_starts(day, where)
            of_day = [
                Reading(place.channel_id, start, start // 1800 % 9 * (day.day % 3), one)
                for start in starts[day.day % 3 :]
            ]
            record_readings(connection, of_day, received_at_ms=1)
    for day in days:
        close_day(database, day=day, zone=where, now=NOW)
    end = days[-1] + timedelta(days=1)
    for resolution in (Resolution.DAY, Resolution.WEEK, Resolution.MONTH):
        asked = [
            Asked(place, free_period(first, end, zone=where), resolution)
            for place in places.values()
        ]
        with database.reading() as connection:
            spans = [
                Span(place.channel_id, place.interval_s, first, end, where)
                for place in places.values()
            ]
            found = channel_day_sums(connection, spans, now=NOW)
            assert [type(of_one) for of_one in found] == [DaySums, DaySums]
            _require_same_bytes(connection, asked, now=NOW)


def _require_same_bytes(connection: sa.Connection, asked: list[Asked], *, now: int) -> None:
    """Compare the answers with those that are made of intervals."""
    together = consumptions(connection, asked, now=now)
    for each, answer in zip(asked, together, strict=True):
        days_of = days_of_period(connection, place=each.place, period=each.period, now=now)
        by_intervals = consumption_of(
            days_of, place=each.place, period=each.period, resolution=each.resolution, now=now
        )
        assert msgspec.json.encode(answer) == msgspec.json.encode(by_intervals)


def _readings(
    places: dict[int, MeterPlace], days: list[date], zone: ZoneInfo
) -> st.SearchStrategy[Reading]:
    starts = [start for day in days for start in interval_starts(day, zone)]
    return st.builds(
        Reading,
        st.sampled_from([place.channel_id for place in places.values()]),
        st.sampled_from(starts),
        st.integers(0, 3_000),
        st.sampled_from([Quality.RAW, Quality.RAW, Quality.ESTIMATED_INTERPOLATED]),
    )
