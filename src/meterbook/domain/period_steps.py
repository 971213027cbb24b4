"""
Going from a period to the one before it or after it, on the local clock.

A period of whole calendar months steps by as many months, others by as many days: before March
comes February, however long, and before a week the seven days before it.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from meterbook.domain.local_days import local_day, local_time, midnight
from meterbook.domain.periods import Period

_HOUR_S = 3600
_MONTHS = 12
_FIRST_YEAR, _LAST_YEAR = 2, 9998  # dates end at 1 and 9999, a step keeps away from both


def days_of(period: Period, *, zone: ZoneInfo) -> tuple[date, date] | None:
    """Return the first day and the end day of a period of whole days; None for an hour."""
    first, end = local_day(period.starts_at, zone), local_day(period.ends_at, zone)
    whole = midnight(first, zone) == period.starts_at and midnight(end, zone) == period.ends_at
    return (first, end) if whole and first < end else None


def stepped(first_day: date, end_day: date, *, steps: int) -> tuple[date, date] | None:
    """
    Return the days so many steps later, or earlier; None where the calendar ends.

    >>> stepped(date(2025, 3, 1), date(2025, 4, 1), steps=-1)
    (datetime.date(2025, 2, 1), datetime.date(2025, 3, 1))
    """
    years = (first_day.year, end_day.year)
    length = end_day - first_day
    reach = abs(steps) * (length.days // 365 + 1)
    if min(years) - reach < _FIRST_YEAR or max(years) + reach > _LAST_YEAR:
        return None
    if first_day.day == end_day.day == 1:
        months = _months(end_day) - _months(first_day)
        return _month(_months(first_day) + steps * months), _month(
            _months(end_day) + steps * months
        )
    return first_day + steps * length, end_day + steps * length


def period_before(period: Period, *, zone: ZoneInfo) -> Period | None:
    """Return the period of the same length before it; None where the calendar ends."""
    days = days_of(period, zone=zone)
    if days is None:
        starts_at = period.starts_at - _HOUR_S
        return Period("range", starts_at, period.starts_at, period.resolution)
    earlier = stepped(*days, steps=-1)
    if earlier is None:
        return None
    first, end = earlier
    return Period("range", midnight(first, zone), midnight(end, zone), period.resolution)


def same_time_in(earlier: Period, *, of: Period, instant: int, zone: ZoneInfo) -> int:
    """
    Return the instant that lies as many days and as far into the day in the earlier period.

    It never lies outside: the 31st of March has no counterpart in February but its end.
    """
    if instant >= of.ends_at:
        return earlier.ends_at
    if instant - of.starts_at < _HOUR_S and of.ends_at - of.starts_at <= _HOUR_S:
        return earlier.starts_at + instant - of.starts_at
    into = local_time(instant, zone)
    day = local_day(earlier.starts_at, zone) + (into.date() - local_day(of.starts_at, zone))
    at = datetime.combine(day, into.time(), zone)
    return max(earlier.starts_at, min(int(at.timestamp()), earlier.ends_at))


def _months(first: date) -> int:
    return first.year * _MONTHS + first.month - 1


def _month(number: int) -> date:
    return date(number // _MONTHS, number % _MONTHS + 1, 1)
