"""
Consumption: the energy of one meter over a period, as points that add up to the total.

A point is the sum of the intervals that are known in it; a point none of whose intervals is known
is null, never 0. Intervals that have not ended are neither points nor missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import compress, groupby, repeat, starmap
from operator import itemgetter
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.closed_days import DaySum, DaySums
from meterbook.domain.local_days import (
    day_bounds,
    local_day,
    local_time,
    midnight,
    numbered_day,
    time_zone,
)
from meterbook.domain.periods import FINE_S, Period, Resolution, bucket_day
from meterbook.domain.readings import ESTIMATED, Quality
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings, Span, channel_day_sums, channel_days
from meterbook.queries.meter_places import MeterPlace
from meterbook.queries.points import by_point

_KEY_OF_PART = itemgetter(0)
_WORDS = {int(quality): quality.word for quality in Quality}
_ONE_QUALITY = {int(quality): frozenset({int(quality)}) for quality in Quality}
_NOTHING_ESTIMATED = 0.0  # the very object: the wire leaves out what is its default


class ConsumptionPoint(
    msgspec.Struct,
    frozen=True,
    rename={"energy_kwh": "kWh", "estimated_kwh": "estimated_kWh"},
    omit_defaults=True,
    gc=False,
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
    estimated_kwh: float = _NOTHING_ESTIMATED
    """The part of it that was estimated; only where there is one."""


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


class _Part(msgspec.Struct, frozen=True, gc=False):
    """Intervals of one day that belong to one point."""

    starts_at: int
    length_s: int
    """Of each interval."""
    count: int
    known: int
    energy_wh: int
    estimated_wh: int
    qualities: frozenset[int]


class _Figures(msgspec.Struct):
    total_wh: int = 0
    estimated_wh: int = 0
    missing: int = 0
    points: list[ConsumptionPoint] = []


def consumption(
    connection: sa.Connection,
    *,
    place: MeterPlace,
    period: Period,
    resolution: Resolution,
    now: int,
) -> Consumption:
    """Return the meter's energy over the period in points of the resolution."""
    [answer] = consumptions(connection, [Asked(place, period, resolution)], now=now)
    return answer


class Asked(msgspec.Struct, frozen=True):
    """What somebody wants to know of a meter."""

    place: MeterPlace
    period: Period
    resolution: Resolution


def consumptions(
    connection: sa.Connection, asked: Sequence[Asked], *, now: int
) -> list[Consumption]:
    """Return the energy of several meters, each over its period, in a few statements for all."""
    summed = [number for number, each in enumerate(asked) if _is_of_days(each)]
    spans = [_span(asked[number].place, asked[number].period, now=now) for number in summed]
    sums = dict(zip(summed, channel_day_sums(connection, spans, now=now), strict=True))
    return [
        consumption_of(
            sums[number]
            if number in sums
            else days_of_period(connection, place=each.place, period=each.period, now=now),
            place=each.place,
            period=each.period,
            resolution=each.resolution,
            now=now,
        )
        for number, each in enumerate(asked)
    ]


def days_of_period(
    connection: sa.Connection, *, place: MeterPlace, period: Period, now: int
) -> Iterator[DayReadings]:
    """Yield the days that the period touches, up to now."""
    return channel_days(connection, **msgspec.structs.asdict(_span(place, period, now=now)))


def _span(place: MeterPlace, period: Period, *, now: int) -> Span:
    zone = time_zone(place.zone)
    first_day, end_day = _days(period.starts_at, min(period.ends_at, now + 1), zone)
    return Span(place.channel_id, place.interval_s, first_day, max(first_day, end_day), zone)


@lru_cache(maxsize=1024)
def _days(starts_at: int, ends_at: int, zone: ZoneInfo) -> tuple[date, date]:
    """Return the local days that the range of instants touches, half-open."""
    return local_day(starts_at, zone), local_day(ends_at - 1, zone) + timedelta(days=1)


def _is_of_days(asked: Asked) -> bool:
    """Say whether every point is made of whole local days."""
    if asked.resolution in FINE_S:
        return False
    zone, period = time_zone(asked.place.zone), asked.period
    return _is_midnight(period.starts_at, zone) and _is_midnight(period.ends_at, zone)


@lru_cache(maxsize=1024)
def _is_midnight(instant: int, zone: ZoneInfo) -> bool:
    return midnight(local_day(instant, zone), zone) == instant


def consumption_of(
    days: Iterable[DayReadings | DaySum] | DaySums,
    *,
    place: MeterPlace,
    period: Period,
    resolution: Resolution,
    now: int,
) -> Consumption:
    """Return the energy over the period in those days, which may begin before and end after it."""
    if isinstance(days, DaySums):
        if resolution is Resolution.DAY:
            return _of_sums(days, place=place, period=period)
        days = days.each()
    zone = time_zone(place.zone)
    figures = _Figures()
    for part in _of_points(days, period=period, resolution=resolution, now=now, zone=zone):
        figures.total_wh += part.energy_wh
        figures.estimated_wh += part.estimated_wh
        figures.missing += part.count - part.known
        figures.points.append(_point(part, zone=zone, resolution=resolution))
    return _answer(figures, place=place, period=period, resolution=resolution)


def _of_sums(days: DaySums, *, place: MeterPlace, period: Period) -> Consumption:
    """Return the same by day where every day is a sum: what is asked most, without its parts."""
    energies_kwh = [*map(wh_to_kwh, days.energy)]
    estimated: Iterable[float] = repeat(_NOTHING_ESTIMATED, len(energies_kwh))
    if not ESTIMATED.isdisjoint(days.quality):
        estimated = map(_estimated_kwh, days.quality, energies_kwh)
    columns = (
        _day_texts(tuple(days.day), time_zone(place.zone)),
        energies_kwh,
        map(_WORDS.__getitem__, days.quality),
        days.missing,
        repeat(None, len(energies_kwh)),
        estimated,
    )
    points = [*starmap(ConsumptionPoint, zip(*columns, strict=True))]
    figures = _Figures(
        sum(days.energy),
        sum(compress(days.energy, map(ESTIMATED.__contains__, days.quality))),
        sum(days.missing),
        points,
    )
    return _answer(figures, place=place, period=period, resolution=Resolution.DAY)


def _answer(
    figures: _Figures, *, place: MeterPlace, period: Period, resolution: Resolution
) -> Consumption:
    zone = time_zone(place.zone)
    return Consumption(
        meter_id=place.meter_id,
        period=period.name,
        timezone=place.zone,
        starts_at=_text(period.starts_at, zone),
        ends_at=_text(period.ends_at, zone),
        unit="kWh",
        resolution=resolution,
        total_kwh=wh_to_kwh(figures.total_wh),
        estimated_kwh=wh_to_kwh(figures.estimated_wh),
        missing_intervals=figures.missing,
        points=figures.points,
    )


def _of_points(
    days: Iterable[DayReadings | DaySum],
    *,
    period: Period,
    resolution: Resolution,
    now: int,
    zone: ZoneInfo,
) -> Iterator[_Part]:
    """Yield what belongs to each point, as one part."""
    parts = _parts(days, period=period, resolution=resolution, now=now, zone=zone)
    if resolution is Resolution.DAY:
        yield from (part for _, part in parts)
        return
    for _, group in groupby(parts, key=_KEY_OF_PART):
        of_point = [part for _, part in group]
        yield of_point[0] if len(of_point) == 1 else _together(of_point)


def _parts(
    days: Iterable[DayReadings | DaySum],
    *,
    period: Period,
    resolution: Resolution,
    now: int,
    zone: ZoneInfo,
) -> Iterator[tuple[object, _Part]]:
    for day in days:
        if isinstance(day, DaySum):
            local = numbered_day(day.day)
            yield bucket_day(local, resolution=resolution), _part_of_sum(day, local, zone)
            continue
        for key, indices in by_point(day, period=period, now=now, resolution=resolution, zone=zone):
            yield key, _part(day, indices)


def _part_of_sum(day: DaySum, local: date, zone: ZoneInfo) -> _Part:
    begins_at, ends_at = day_bounds(local, zone)
    return _Part(
        starts_at=begins_at,
        length_s=ends_at - begins_at,
        count=day.missing + 1,  # of how many does not matter, only that one is known
        known=1,
        energy_wh=day.energy,
        estimated_wh=day.energy if day.quality in ESTIMATED else 0,
        qualities=_ONE_QUALITY[day.quality],
    )


def _part(day: DayReadings, indices: Sequence[int]) -> _Part:
    whole = len(indices) == len(day.amounts)
    amounts = day.amounts if whole else [day.amounts[i] for i in indices]
    known = len(amounts) - amounts.count(None)
    energy_wh = sum(filter(None, amounts))
    if day.qualities is None:
        qualities = frozenset({int(day.quality)} if known else ())
        estimated_wh = energy_wh if day.quality in ESTIMATED else 0
    else:
        of_known = [
            (day.qualities[i], amount)
            for i, amount in zip(indices, amounts, strict=True)
            if amount is not None
        ]
        qualities = frozenset(quality for quality, _ in of_known)
        estimated_wh = sum(amount for quality, amount in of_known if quality in ESTIMATED)
    return _Part(
        starts_at=day.starts_at + indices[0] * day.interval_s,
        length_s=day.interval_s,
        count=len(indices),
        known=known,
        energy_wh=energy_wh,
        estimated_wh=estimated_wh,
        qualities=qualities,
    )


def _point(part: _Part, *, zone: ZoneInfo, resolution: Resolution) -> ConsumptionPoint:
    quality = next(iter(part.qualities)) if len(part.qualities) == 1 else Quality.MIXED
    too_long = part.length_s > FINE_S.get(resolution, part.length_s)
    return ConsumptionPoint(
        starts_at=_text(part.starts_at, zone),
        energy_kwh=wh_to_kwh(part.energy_wh) if part.known else None,
        quality=_WORDS[quality] if part.known else None,
        missing_intervals=part.count - part.known,
        ends_at=_text(part.starts_at + part.length_s, zone) if too_long else None,
        estimated_kwh=wh_to_kwh(part.estimated_wh) if part.estimated_wh else _NOTHING_ESTIMATED,
    )


def _together(parts: list[_Part]) -> _Part:
    """Return the days of a longer point as one part, with the first one's intervals."""
    return _Part(
        starts_at=parts[0].starts_at,
        length_s=parts[0].length_s,
        count=sum(part.count for part in parts),
        known=sum(part.known for part in parts),
        energy_wh=sum(part.energy_wh for part in parts),
        estimated_wh=sum(part.estimated_wh for part in parts),
        qualities=frozenset[int]().union(*(part.qualities for part in parts)),
    )


@lru_cache(maxsize=1024)
def _day_texts(numbers: tuple[int, ...], zone: ZoneInfo) -> tuple[str, ...]:
    return tuple(_day_text(number, zone) for number in numbers)


def _estimated_kwh(quality: Quality, energy_kwh: float) -> float:
    return energy_kwh if energy_kwh and quality in ESTIMATED else _NOTHING_ESTIMATED


@lru_cache(maxsize=16_384)
def _day_text(number: int, zone: ZoneInfo) -> str:
    return _text(midnight(numbered_day(number), zone), zone)


@lru_cache(maxsize=16_384)
def _text(instant: int, zone: ZoneInfo) -> str:
    return local_time(instant, zone).isoformat()
