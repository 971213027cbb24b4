"""
Consumption: the energy of one meter over a period, as points that add up to the total.

A point is the sum of the intervals that are known in it; a point none of whose intervals is known
is null, never 0. Intervals that have not ended are neither points nor missing.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, local_time, time_zone
from meterbook.domain.periods import Period, Resolution, bucket_key
from meterbook.domain.readings import ESTIMATED, Quality
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import channel_days
from meterbook.queries.meter_places import MeterPlace


class ConsumptionPoint(
    msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}, omit_defaults=True
):
    """The energy of one half hour, hour, day, week, month or year."""

    starts_at: str
    """ISO 8601 on the meter's clock."""
    energy_kwh: float | None
    """None where nothing is known."""
    quality: str | None
    """Of the intervals in it; None where nothing is known."""
    missing_intervals: int = 0
    """How many ended intervals of it have no reading."""
    ends_at: str | None = None
    """Only where the point is longer than the resolution: all that is known is a total."""


class Consumption(
    msgspec.Struct,
    frozen=True,
    rename={"total_kwh": "total_kWh", "estimated_kwh": "estimated_kWh"},
):
    """The answer to `/profile/{meterId}/consumption`."""

    meter_id: int
    period: str
    timezone: str
    starts_at: str
    ends_at: str
    unit: str
    resolution: Resolution
    total_kwh: float
    """Sum of the points, to the last Wh."""
    estimated_kwh: float
    """The part of it that was estimated."""
    missing_intervals: int
    """Ended intervals without a reading."""
    points: list[ConsumptionPoint]


class _Interval(msgspec.Struct, frozen=True, gc=False):
    starts_at: int
    length_s: int
    amount: int | None
    quality: Quality


def consumption(
    connection: sa.Connection,
    *,
    place: MeterPlace,
    period: Period,
    resolution: Resolution,
    now: int,
) -> Consumption:
    """Return the meter's energy over the period in points of the resolution."""
    zone = time_zone(place.zone)
    points: list[ConsumptionPoint] = []
    total = estimated = missing = 0
    intervals = _intervals(connection, place=place, period=period, zone=zone, now=now)
    for group in _buckets(intervals, zone=zone, resolution=resolution):
        known = [interval.amount for interval in group if interval.amount is not None]
        total += sum(known)
        missing += len(group) - len(known)
        estimated += sum(i.amount or 0 for i in group if i.quality in ESTIMATED)
        points.append(_point(group, known, zone=zone, resolution=resolution))
    return Consumption(
        meter_id=place.meter_id,
        period=period.name,
        timezone=place.zone,
        starts_at=_text(period.starts_at, zone),
        ends_at=_text(period.ends_at, zone),
        unit="kWh",
        resolution=resolution,
        total_kwh=wh_to_kwh(total),
        estimated_kwh=wh_to_kwh(estimated),
        missing_intervals=missing,
        points=points,
    )


def _intervals(
    connection: sa.Connection, *, place: MeterPlace, period: Period, zone: ZoneInfo, now: int
) -> Iterator[_Interval]:
    days = channel_days(
        connection,
        channel_id=place.channel_id,
        interval_s=place.interval_s,
        first_day=local_day(period.starts_at, zone),
        end_day=local_day(min(period.ends_at - 1, now), zone) + timedelta(days=1),
        zone=zone,
    )
    for day in days:
        for index, (amount, quality) in enumerate(zip(day.amounts, day.qualities, strict=True)):
            starts_at = day.starts_at + index * day.interval_s
            if not period.starts_at <= starts_at < period.ends_at:
                continue
            # An interval that has not ended counts only if its reading is here already.
            if amount is not None or starts_at + day.interval_s <= now:
                yield _Interval(starts_at, day.interval_s, amount, quality)


def _buckets(
    intervals: Iterable[_Interval], *, zone: ZoneInfo, resolution: Resolution
) -> Iterator[list[_Interval]]:
    def key(interval: _Interval) -> tuple[object, ...]:
        return bucket_key(interval.starts_at, zone=zone, resolution=resolution)

    return (list(group) for _, group in groupby(intervals, key))


def _point(
    group: list[_Interval], known: list[int], *, zone: ZoneInfo, resolution: Resolution
) -> ConsumptionPoint:
    first = group[0]
    qualities = {interval.quality for interval in group if interval.amount is not None}
    quality = next(iter(qualities)) if len(qualities) == 1 else Quality.MIXED
    fine = resolution in {Resolution.HALF_HOUR, Resolution.HOUR}
    too_long = fine and first.length_s > _FINE_S[resolution]
    return ConsumptionPoint(
        starts_at=_text(first.starts_at, zone),
        energy_kwh=wh_to_kwh(sum(known)) if known else None,
        quality=quality.word if known else None,
        missing_intervals=len(group) - len(known),
        ends_at=_text(first.starts_at + first.length_s, zone) if too_long else None,
    )


_FINE_S = {Resolution.HALF_HOUR: 1800, Resolution.HOUR: 3600}


def _text(instant: int, zone: ZoneInfo) -> str:
    return local_time(instant, zone).isoformat()
