"""
A channel's days as they stand: the ledger with the daybook laid over it.

This is the one place where the two books meet for a reader. Every figure anybody sees is summed
from what it returns, so no two views can disagree.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from math import gcd
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.closed_days import ClosedDay, closed_day, merge
from meterbook.domain.local_days import day_bounds, day_number, local_day
from meterbook.domain.readings import Quality, Reading

_GRID_S = 900  # what every zone's local days have been whole multiples of since 1986


class DayReadings(msgspec.Struct, frozen=True):
    """One local day of one channel, closed or open."""

    day: date
    starts_at: int
    """When the day begins, UTC epoch seconds."""
    interval_s: int
    amounts: list[int | None]
    """One per interval; None is missing."""
    quality: Quality
    """Of every interval that is known, unless qualities says more."""
    qualities: bytes | None
    """One per interval, only where they differ."""


def channel_days(
    connection: sa.Connection,
    *,
    channel_id: int,
    interval_s: int,
    first_day: date,
    end_day: date,
    zone: ZoneInfo,
) -> Iterator[DayReadings]:
    """
    Yield the days from first_day up to, not including, end_day, also those without a reading.

    :param interval_s: the channel's interval, for days the ledger does not have.
    """
    # Open readings first: what a close takes in between is then seen twice, and not never.
    opened = _open_by_day(
        connection,
        channel_id=channel_id,
        interval_s=interval_s,
        first_day=first_day,
        end_day=end_day,
        zone=zone,
    )
    closed = {
        row.day: row
        for row in ledger.days_of_channel(
            connection,
            channel_id=channel_id,
            first_day=day_number(first_day),
            end_day=day_number(end_day),
        )
    }
    for offset in range((end_day - first_day).days):
        day = first_day + timedelta(days=offset)
        begins_at, ends_at = day_bounds(day, zone)
        if ends_at == begins_at:
            continue
        row = closed.get(day_number(day))
        if readings := opened.get(day):
            late = _day_of(readings, day=day, bounds=(begins_at, ends_at), interval_s=interval_s)
            row = late if row is None else merge(row, late).day
        if row is None:
            count = (ends_at - begins_at) // interval_s
            yield DayReadings(day, begins_at, interval_s, [None] * count, Quality.RAW, None)
            continue
        length_s = (ends_at - begins_at) // len(row.intervals)
        yield DayReadings(day, begins_at, length_s, row.intervals, row.quality, row.qualities)


def _open_by_day(
    connection: sa.Connection,
    *,
    channel_id: int,
    interval_s: int,
    first_day: date,
    end_day: date,
    zone: ZoneInfo,
) -> dict[date, list[Reading]]:
    readings = daybook.open_readings(
        connection,
        channel_id=channel_id,
        starts_at=day_bounds(first_day, zone)[0],
        ends_at=day_bounds(end_day, zone)[0],
        step_s=gcd(interval_s, _GRID_S),
    )
    by_day: dict[date, list[Reading]] = {}
    for reading in readings:
        by_day.setdefault(local_day(reading.starts_at, zone), []).append(reading)
    return by_day


def _day_of(
    readings: list[Reading], *, day: date, bounds: tuple[int, int], interval_s: int
) -> ClosedDay:
    count = (bounds[1] - bounds[0]) // interval_s
    amounts: list[int | None] = [None] * count
    qualities = [Quality.RAW] * count
    for reading in readings:
        index, rest = divmod(reading.starts_at - bounds[0], interval_s)
        if rest == 0 and index < count:
            amounts[index], qualities[index] = reading.amount, reading.quality
    return closed_day(
        readings[0].channel_id, day_number(day), intervals=amounts, qualities=qualities
    )
