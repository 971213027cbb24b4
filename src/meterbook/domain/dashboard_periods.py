"""
The periods of a dashboard: whole local days, each with the days it is compared with.

    this month       ▓▓▓▓▓▓▓░······   seven days are over, the eighth is open
    the month before ▒▒▒▒▒▒▒·······   change: of the same number of days, full ones only
"""

from datetime import date, timedelta

import msgspec

from meterbook.domain.periods import EmptyRangeError, UnknownPeriodError

RANGE_DAYS_MAX = 400
LAST_DAYS = 30
DASHBOARD_PERIODS = (
    "last-30-days",
    "prev-day",
    "current-week",
    "prev-week",
    "current-month",
    "prev-month",
    "current-year",
)


class DashboardPeriod(msgspec.Struct, frozen=True):
    """Whole days, and the first of the days before to compare with."""

    name: str
    first_day: date
    end_day: date
    """First day out."""
    before: date
    """First day of the period before."""

    def compared_days(self, today: date) -> int:
        """Return how many full days of it are compared with as many of the period before."""
        full = (min(self.end_day, today) - self.first_day).days
        return max(0, min(full, (self.first_day - self.before).days))


def dashboard_period(name: str, *, today: date) -> DashboardPeriod:
    """
    Return the period of that name around today.

    :raises UnknownPeriodError: if there is none.
    """
    day = timedelta(days=1)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    first_before = (first - day).replace(day=1)
    year = today.replace(month=1, day=1)
    spans = {
        "last-30-days": (
            today - (LAST_DAYS - 1) * day,
            today + day,
            today - 2 * LAST_DAYS * day + day,
        ),
        "prev-day": (today - day, today, today - 2 * day),
        "current-week": (monday, monday + 7 * day, monday - 7 * day),
        "prev-week": (monday - 7 * day, monday, monday - 14 * day),
        "current-month": (first, _next_month(first), first_before),
        "prev-month": (first_before, first, (first_before - day).replace(day=1)),
        "current-year": (year, date(year.year + 1, 1, 1), date(year.year - 1, 1, 1)),
    }
    if name not in spans:
        raise UnknownPeriodError(name, spans)
    return DashboardPeriod(name, *spans[name])


def dashboard_range(first_day: date, end_day: date) -> DashboardPeriod:
    """
    Return the period from first_day up to, not including, end_day.

    :raises EmptyRangeError: if there is no day in it, or more than 400 of them.
    """
    days = (end_day - first_day).days
    if not 0 < days <= RANGE_DAYS_MAX or (first_day - date.min).days < days:
        raise EmptyRangeError(f"to must be a day after from, at most {RANGE_DAYS_MAX} days later")
    return DashboardPeriod("range", first_day, end_day, first_day - timedelta(days=days))


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
