"""Local days, also the odd ones."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.local_days import (
    UnknownZoneError,
    day_bounds,
    day_number,
    grid_offset_s,
    interval_starts,
    local_day,
    local_time,
    numbered_day,
    time_zone,
)
from meterbook.domain.readings import HALF_HOUR_S, packet_starts_at
from zones import ZONES, days


@pytest.mark.parametrize(
    ("zone", "day", "half_hours"),
    [
        ("UTC", date(2025, 3, 30), 48),
        ("Europe/London", date(2025, 3, 30), 46),
        ("Europe/London", date(2025, 10, 26), 50),
        ("Europe/Warsaw", date(2025, 3, 30), 46),
        ("Europe/Warsaw", date(2025, 10, 26), 50),
        ("Australia/Lord_Howe", date(2025, 4, 6), 49),
        ("Australia/Lord_Howe", date(2025, 10, 5), 47),
        ("America/Sao_Paulo", date(2018, 11, 4), 46),  # midnight itself is skipped
        ("America/Havana", date(2024, 11, 3), 50),  # the hour after midnight comes twice
        ("Pacific/Apia", date(2011, 12, 30), 0),  # the day that was left out
        ("Asia/Kathmandu", date(2025, 6, 1), 48),
    ],
)
def test_a_local_day_has_as_many_half_hours_as_its_clock_says(
    zone: str, day: date, half_hours: int
) -> None:
    assert len(interval_starts(day, time_zone(zone))) == half_hours


@given(st.sampled_from(ZONES), days)
def test_days_follow_each_other_without_gap_or_overlap(zone: str, day: date) -> None:
    following = numbered_day(day_number(day) + 1)
    assert day_bounds(day, time_zone(zone))[1] == day_bounds(following, time_zone(zone))[0]


@given(st.sampled_from(ZONES), days)
def test_every_interval_of_a_day_lies_on_that_day(zone: str, day: date) -> None:
    where = time_zone(zone)
    starts = interval_starts(day, where)
    assert {local_day(start, where) for start in starts} <= {day}
    assert {local_day(start + HALF_HOUR_S - 1, where) for start in starts} <= {day}


@given(st.sampled_from(ZONES), st.integers(631152000, 2145916800))
def test_an_instant_lies_within_its_local_day(zone: str, instant: int) -> None:
    where = time_zone(zone)
    begins_at, ends_at = day_bounds(local_day(instant, where), where)
    assert begins_at <= instant < ends_at


@given(st.sampled_from(ZONES), st.integers(1000000000, 2145916800))
def test_a_packet_covers_the_half_hour_of_its_own_clock_that_ended_at_or_before_its_stamp(
    zone: str, stamp: int
) -> None:
    where = time_zone(zone)
    starts_at = packet_starts_at(stamp, grid_offset_s=grid_offset_s(where))
    assert starts_at + HALF_HOUR_S <= stamp < starts_at + 2 * HALF_HOUR_S
    local = local_time(starts_at, where)
    assert (local.minute % 30, local.second) == (0, 0)


@pytest.mark.parametrize(
    ("stamp", "starts_at"),
    [
        ("2025-02-08T00:31:00+00:00", "2025-02-08T00:00:00+00:00"),
        ("2025-02-08T00:30:00+00:00", "2025-02-08T00:00:00+00:00"),
        ("2025-02-08T00:29:59+00:00", "2025-02-07T23:30:00+00:00"),
        ("2025-02-08T00:01:00+00:00", "2025-02-07T23:30:00+00:00"),
        ("2025-02-08T08:31:00+08:00", "2025-02-08T00:00:00+00:00"),
    ],
)
def test_stamps_of_the_contract(stamp: str, starts_at: str) -> None:
    starts = packet_starts_at(int(datetime.fromisoformat(stamp).timestamp()))
    assert datetime.fromtimestamp(starts, UTC).isoformat() == starts_at


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe", "\0"])
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownZoneError, match="unknown time zone"):
        time_zone(name)


def test_the_grid_of_quarter_hour_zones() -> None:
    offsets = [grid_offset_s(ZoneInfo(name)) for name in ("UTC", "Asia/Kathmandu", "Asia/Kolkata")]
    assert offsets == [0, 900, 0]
