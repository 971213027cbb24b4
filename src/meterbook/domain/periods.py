"""
The periods people ask for, as half-open ranges on the clock of a meter point.

A week starts on Monday. `prev-hr` is the last full clock hour. A period that has not ended yet
still names its whole range: the answer says which of its intervals are still to come.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.local_days import local_day, local_time, midnight


class Resolution(StrEnum):
    """The length of one point of an answer."""

    MINUTE = "minute"
    FIVE_MINUTES = "five-minutes"
    QUARTER_HOUR = "quarter-hour"
    HALF_HOUR = "half-hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


FINE_S = {
    Resolution.MINUTE: 60,
    Resolution.FIVE_MINUTES: 300,
    Resolution.QUARTER_HOUR: 900,
    Resolution.HALF_HOUR: 1800,
    Resolution.HOUR: 3600,
}
"""Resolutions finer than a day, with their length."""


class UnknownPeriodError(ValueError):
    """Not a period Meterbook knows; says which ones it does."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(known)
        super().__init__(f"unknown period {name!r}; known are {names}, or from= and to= (days)")


class EmptyRangeError(ValueError):
    """A free range that ends before it starts, or is longer than the longest allowed."""


class Period(msgspec.Struct, frozen=True):
    """A named half-open range of instants in one zone."""

    name: str
    starts_at: int
    """UTC epoch seconds, first instant in."""
    ends_at: int
    """UTC epoch seconds, first instant out."""
    resolution: Resolution
    """What one point covers unless the question says otherwise."""


PERIOD_NAMES = (
    "prev-hr",
    "current-day",
    "prev-day",
    "current-week",
    "prev-week",
    "current-month",
    "prev-month",
    "current-year",
)
RANGE_DAYS_MAX = 36_600  # a hundred years: longer than any meter, short enough to list
_FINE_DAYS_MAX = 3  # up to here a free range shows half-hours
_DAILY_DAYS_MAX = 100  # up to here it shows days, beyond it months


def named_period(name: str, *, now: int, zone: ZoneInfo) -> Period:
    """
    Return the period of that name around now.

    :raises UnknownPeriodError: if there is none.
    """
    if name == "prev-hr":
        return _previous_hour(now, zone)
    today = local_day(now, zone)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    previous_first = (first - timedelta(days=1)).replace(day=1)
    day, month = Resolution.DAY, Resolution.MONTH
    ranges: dict[str, tuple[date, date, Resolution]] = {
        "current-day": (today, today + timedelta(days=1), Resolution.HALF_HOUR),
        "prev-day": (today - timedelta(days=1), today, Resolution.HALF_HOUR),
        "current-week": (monday, monday + timedelta(days=7), day),
        "prev-week": (monday - timedelta(days=7), monday, day),
        "current-month": (first, _next_month(first), day),
        "prev-month": (previous_first, first, day),
        "current-year": (first.replace(month=1), date(first.year + 1, 1, 1), month),
    }
    if name not in ranges:
        raise UnknownPeriodError(name, PERIOD_NAMES)
    first_day, end_day, resolution = ranges[name]
    return Period(name, midnight(first_day, zone), midnight(end_day, zone), resolution)


def free_period(first_day: date, end_day: date, *, zone: ZoneInfo) -> Period:
    """
    Return the period from first_day up to, not including, end_day.

    :raises EmptyRangeError: if there is no day in it, or more than a hundred years of them, or
        it begins on the calendar's first day: east of Greenwich that begins before the calendar.
    """
    if first_day == date.min:
        raise EmptyRangeError(f"from must be a day after {date.min}")
    days = (end_day - first_day).days
    if not 0 < days <= RANGE_DAYS_MAX:
        raise EmptyRangeError("to must be a day after from, at most a hundred years later")
    resolution = Resolution.MONTH
    if days <= _FINE_DAYS_MAX:
        resolution = Resolution.HALF_HOUR
    elif days <= _DAILY_DAYS_MAX:
        resolution = Resolution.DAY
    return Period("range", midnight(first_day, zone), midnight(end_day, zone), resolution)


def asked_period(
    name: str, first_day: date | None, end_day: date | None, *, now: int, zone: ZoneInfo
) -> Period:
    """
    Return the period a question names, or the days it gives; neither: today.

    :raises UnknownPeriodError: if there is none of that name.
    :raises EmptyRangeError: if the days are no range, or are given together with a name.
    """
    if first_day is None and end_day is None:
        return named_period(name or "current-day", now=now, zone=zone)
    if first_day is None or end_day is None or name:
        raise EmptyRangeError("give from and to together, without period")
    return free_period(first_day, end_day, zone=zone)


def bucket_key(instant: int, *, zone: ZoneInfo, resolution: Resolution) -> tuple[object, ...]:
    """
    Return what two intervals of one point have in common.

    The hour that the clock repeats in autumn is two points: its key holds the UTC offset.
    """
    local = local_time(instant, zone)
    if resolution not in FINE_S:
        return (bucket_day(local.date(), resolution=resolution),)
    minutes = FINE_S[resolution] // 60
    begun = local.replace(minute=local.minute // minutes * minutes, second=0, tzinfo=None)
    return (begun, local.utcoffset())


def bucket_day(day: date, *, resolution: Resolution) -> date:
    """Return the first day of the point that the day belongs to."""
    match resolution:
        case Resolution.WEEK:
            return day - timedelta(days=day.weekday())
        case Resolution.MONTH:
            return day.replace(day=1)
        case Resolution.YEAR:
            return day.replace(month=1, day=1)
        case _:
            return day


def _previous_hour(now: int, zone: ZoneInfo) -> Period:
    # Seconds, not wall-clock hours: in autumn the hour before 02:00 is the repeated one.
    ends_at = now - _seconds_into_hour(local_time(now, zone))
    starts_at = ends_at - 1 - _seconds_into_hour(local_time(ends_at - 1, zone))
    return Period("prev-hr", starts_at, ends_at, Resolution.HALF_HOUR)


def _seconds_into_hour(local: datetime) -> int:
    return local.minute * 60 + local.second


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
