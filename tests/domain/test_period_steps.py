"""Steps from a period to its neighbours, over months, years and clock changes."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.local_days import local_time, midnight
from meterbook.domain.period_steps import days_of, period_before, same_time_in, stepped
from meterbook.domain.periods import free_period, named_period
from zones import ZONES, days

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("first", "end", "steps", "there"),
    [
        pytest.param((2025, 3, 1), (2025, 4, 1), -1, ((2025, 2, 1), (2025, 3, 1)), id="month"),
        pytest.param((2025, 1, 1), (2026, 1, 1), -1, ((2024, 1, 1), (2025, 1, 1)), id="year"),
        pytest.param((2025, 1, 1), (2025, 4, 1), 1, ((2025, 4, 1), (2025, 7, 1)), id="quarter"),
        pytest.param((2025, 3, 3), (2025, 3, 10), -1, ((2025, 2, 24), (2025, 3, 3)), id="week"),
        pytest.param((2025, 3, 30), (2025, 3, 31), 1, ((2025, 3, 31), (2025, 4, 1)), id="day"),
    ],
)
def test_a_step_is_as_long_as_the_period(
    first: tuple[int, int, int],
    end: tuple[int, int, int],
    steps: int,
    there: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    assert stepped(date(*first), date(*end), steps=steps) == (date(*there[0]), date(*there[1]))


def test_there_is_no_step_beyond_the_calendar() -> None:
    assert stepped(date(1, 1, 2), date(1, 1, 3), steps=-1) is None
    assert stepped(date(9999, 1, 1), date(9999, 2, 1), steps=1) is None


@given(days, st.integers(1, 800), st.sampled_from(ZONES))
def test_the_period_before_ends_where_this_one_begins(day: date, length: int, name: str) -> None:
    zone = ZoneInfo(name)
    first = midnight(day, zone)
    period = free_period(day, date.fromordinal(day.toordinal() + length), zone=zone)
    earlier = period_before(period, zone=zone)
    assert earlier is not None
    assert earlier.ends_at == first
    assert days_of(earlier, zone=zone) is not None


@pytest.mark.parametrize(
    ("now", "same"),
    [
        pytest.param("2025-03-30T10:00+01:00", "2025-03-29T10:00+00:00", id="after spring"),
        pytest.param("2025-10-26T10:00+00:00", "2025-10-25T10:00+01:00", id="after autumn"),
        pytest.param("2025-06-02T00:30+01:00", "2025-06-01T00:30+01:00", id="plain"),
    ],
)
def test_yesterday_by_the_same_time_is_by_the_clock_on_the_wall(now: str, same: str) -> None:
    instant = int(date_time(now))
    today = named_period("current-day", now=instant, zone=LONDON)
    yesterday = period_before(today, zone=LONDON)
    assert yesterday is not None
    found = same_time_in(yesterday, of=today, instant=instant, zone=LONDON)
    assert found == int(date_time(same))


def test_the_end_of_a_longer_month_is_the_end_of_the_shorter_one() -> None:
    instant = int(date_time("2025-03-31T12:00+01:00"))
    march = named_period("current-month", now=instant, zone=LONDON)
    february = period_before(march, zone=LONDON)
    assert february is not None
    found = same_time_in(february, of=march, instant=instant, zone=LONDON)
    assert local_time(found, LONDON).date() == date(2025, 3, 1)
    assert found == february.ends_at


def test_before_the_last_hour_is_the_hour_before() -> None:
    instant = int(date_time("2025-06-02T10:20+01:00"))
    hour = named_period("prev-hr", now=instant, zone=LONDON)
    earlier = period_before(hour, zone=LONDON)
    assert earlier is not None
    assert (earlier.starts_at, earlier.ends_at) == (hour.starts_at - 3600, hour.starts_at)
    half = same_time_in(earlier, of=hour, instant=hour.starts_at + 1800, zone=LONDON)
    assert half == earlier.starts_at + 1800
    assert days_of(hour, zone=LONDON) is None


def date_time(text: str) -> float:
    """Return the instant of a text with its offset."""
    return datetime.fromisoformat(text).timestamp()
