"""
Days by the time of day: the rows and columns of a heat map.

A column is a time on the local clock. A day on which the clock repeats an hour has that hour
twice: its second run has columns of its own at the end, which only such days fill; a day that skips
an hour leaves the skipped ones empty. Every interval has exactly one cell: they add up to the
total.
"""

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.local_days import local_day, local_time
from meterbook.queries.period_figures import Counted

_DAY_S = 86_400


class TimeOfDay(msgspec.Struct, frozen=True):
    """A column."""

    minute: int
    """Of the local day, 0 to 1439."""
    is_repeated: bool = False
    """Whether it is the second run of an hour the clock repeats."""


class DaysByTime(msgspec.Struct, frozen=True):
    """Rows of days, columns of times."""

    columns: list[TimeOfDay]
    days: list[date]
    energy_wh: list[list[int | None]]
    """Shape (days, columns); None also where that day has no such time, or it is still to come."""
    missing: list[list[int]]
    """For each day the columns whose reading is missing."""


def days_by_time(counted: Sequence[Counted], *, zone: ZoneInfo) -> DaysByTime | None:
    """Return the days by the time of day; None if their intervals differ or are whole days."""
    lengths = {day.interval_s for day in counted}
    if len(lengths) != 1 or max(lengths) >= _DAY_S:
        return None
    [interval_s] = lengths
    plain = [TimeOfDay(second // 60) for second in range(0, _DAY_S, interval_s)]
    of_odd = {
        index: _times(day, zone=zone) for index, day in enumerate(counted) if _is_odd(day, zone)
    }
    columns = sorted({*plain, *(time for times in of_odd.values() for time in times)}, key=_order)
    place = {time: column for column, time in enumerate(columns)}
    plain_places = [place[time] for time in plain]
    rows: list[list[int | None]] = []
    missing: list[list[int]] = []
    for index, day in enumerate(counted):
        times = of_odd.get(index)
        places = plain_places[day.first :] if times is None else [place[time] for time in times]
        row: list[int | None] = [None] * len(columns)
        for column, amount in zip(places, day.amounts, strict=False):
            row[column] = amount
        rows.append(row)
        missing.append(
            [column for column, amount in zip(places, day.amounts, strict=False) if amount is None]
        )
    return DaysByTime(columns, [local_day(day.starts_at, zone) for day in counted], rows, missing)


def _order(time: TimeOfDay) -> tuple[bool, int]:
    return (time.is_repeated, time.minute)


def _is_odd(day: Counted, zone: ZoneInfo) -> bool:
    begin, end = (local_time(at, zone) for at in (day.starts_at, day.starts_at + _DAY_S))
    return begin.utcoffset() != end.utcoffset() or bool(begin.hour or begin.minute)


def _times(day: Counted, *, zone: ZoneInfo) -> list[TimeOfDay]:
    """Return the time of each interval that counts."""
    times: list[TimeOfDay] = []
    seen: set[int] = set()
    for index in range(day.first + len(day.amounts)):
        local = local_time(day.starts_at + index * day.interval_s, zone)
        minute = local.hour * 60 + local.minute
        times.append(TimeOfDay(minute, is_repeated=minute in seen))
        seen.add(minute)
    return times[day.first :]
