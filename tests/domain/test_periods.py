"""Periods: local, half-open, also where the clock jumps."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.local_days import local_time, time_zone
from meterbook.domain.periods import (
    PERIOD_NAMES,
    EmptyRangeError,
    UnknownPeriodError,
    free_period,
    named_period,
)
from zones import ZONES

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("name", "now", "starts_at", "ends_at"),
    [
        ("prev-hr", "2025-02-08T10:20", "2025-02-08T09:00", "2025-02-08T10:00"),
        ("prev-hr", "2025-03-30T02:20", "2025-03-30T00:00", "2025-03-30T02:00"),  # 1 h: 01 skipped
        ("current-day", "2025-03-30T12:00", "2025-03-30T00:00", "2025-03-31T00:00"),
        ("prev-day", "2025-03-01T00:00", "2025-02-28T00:00", "2025-03-01T00:00"),
        ("current-week", "2025-02-09T23:59", "2025-02-03T00:00", "2025-02-10T00:00"),
        ("current-week", "2025-02-10T00:00", "2025-02-10T00:00", "2025-02-17T00:00"),
        ("prev-week", "2025-02-10T00:00", "2025-02-03T00:00", "2025-02-10T00:00"),
        ("current-month", "2024-02-29T12:00", "2024-02-01T00:00", "2024-03-01T00:00"),
        ("prev-month", "2025-01-31T12:00", "2024-12-01T00:00", "2025-01-01T00:00"),
        ("current-year", "2025-12-31T23:59", "2025-01-01T00:00", "2026-01-01T00:00"),
    ],
)
def test_named_periods(name: str, now: str, starts_at: str, ends_at: str) -> None:
    instant = int(datetime.fromisoformat(now).replace(tzinfo=LONDON).timestamp())
    period = named_period(name, now=instant, zone=LONDON)
    assert f"{local_time(period.starts_at, LONDON):%Y-%m-%dT%H:%M}" == starts_at
    assert f"{local_time(period.ends_at, LONDON):%Y-%m-%dT%H:%M}" == ends_at


def test_the_previous_hour_of_the_repeated_hour_is_one_hour_long() -> None:
    second_two_oclock = 1761444000  # 2025-10-26T02:00:00+00:00, after 01:00-02:00 came twice
    period = named_period("prev-hr", now=second_two_oclock + 60, zone=LONDON)
    assert (period.starts_at, period.ends_at) == (second_two_oclock - 3600, second_two_oclock)


@given(st.sampled_from(PERIOD_NAMES), st.sampled_from(ZONES), st.integers(946684800, 2145916800))
def test_current_periods_hold_now_and_previous_ones_end_at_or_before_it(
    name: str, zone: str, now: int
) -> None:
    period = named_period(name, now=now, zone=time_zone(zone))
    assert period.starts_at <= period.ends_at
    if name.startswith("current"):
        assert period.starts_at <= now < period.ends_at
    else:
        assert period.ends_at <= now


def test_an_unknown_period_names_the_known_ones() -> None:
    with pytest.raises(UnknownPeriodError, match="prev-hr, current-day"):
        named_period("last-decade", now=0, zone=LONDON)


@pytest.mark.parametrize(
    ("first", "end"),
    [
        ("2025-02-02", "2025-02-02"),
        ("2025-02-02", "2024-01-01"),
        ("0001-01-01", "0001-01-02"),
    ],
)
def test_an_empty_range_is_refused(first: str, end: str) -> None:
    with pytest.raises(EmptyRangeError):
        free_period(
            datetime.fromisoformat(first).date(), datetime.fromisoformat(end).date(), zone=LONDON
        )
