"""
Meters' energy as series of points, one per interval, and what functions make of them.

The points are those every page sums up (`channel_days`); an interval that nobody knows is no point.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.influxql import Column, Conditions, QueryError, Question, TagCondition
from meterbook.domain.local_days import local_day, local_time, time_zone
from meterbook.domain.meter_ids import dashed
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import channel_days
from meterbook.queries.meter_places import MeterPlace, export_place, meter_place
from meterbook.storage.tables import installations, meter_points

METERS_MAX = 500
METER_DAYS_MAX = 20_000  # read for one question: fifty meters over a year
POINTS_MAX = 50_000
_DAY_S = 86_400
Point = tuple[int, int, int]
"""When an interval begins, UTC epoch seconds; its energy, Wh; its length, seconds."""
Number = float | int | None


class EnergySeries(msgspec.Struct, frozen=True):
    """One series of an answer."""

    tags: dict[str, str]
    rows: list[tuple[int, list[Number]]]
    """When, UTC epoch seconds, and a number per column."""


def named_meters(where: Conditions) -> set[str]:
    """Return the meters that the conditions name; none: they name none."""
    found: set[str] = set()
    for condition in where.conditions:
        if isinstance(condition, Conditions):
            found |= named_meters(condition)
        elif condition.tag == "meter" and condition.is_one_of and condition.words:
            found |= condition.words
    return found


def seen_meters(
    connection: sa.Connection, *, account_id: int | None, named: Collection[int]
) -> list[MeterPlace]:
    """
    Return meters by number.

    :param account_id: whose they must be; None: anybody's.
    :param named: only these; empty: all.
    :raises QueryError: if they are too many.
    """
    wanted = (
        sa.select(installations.c.meter_id)
        .distinct()
        .order_by(installations.c.meter_id)
        .limit(METERS_MAX + 1)
    )
    if account_id is not None:
        wanted = wanted.join(
            meter_points, meter_points.c.id == installations.c.meter_point_id
        ).where(meter_points.c.account_id == account_id)
    if named:
        wanted = wanted.where(installations.c.meter_id.in_(sorted(named)[: METERS_MAX + 1]))
    numbers = connection.scalars(wanted).all()
    if len(numbers) > METERS_MAX:
        raise QueryError(f"more than {METERS_MAX} meters: name those you mean")
    places = (meter_place(connection, meter_id=number) for number in numbers)
    return [
        place for place in places if place is not None and account_id in {None, place.account_id}
    ]


def energy_series(
    connection: sa.Connection, *, question: Question, meters: Sequence[MeterPlace], now: int
) -> list[EnergySeries]:
    """
    Return the answer to a question over these meters.

    :raises QueryError: if it does not say since when, or asks for too much at once.
    """
    if question.starts_at is None:
        raise QueryError("since when is not said: time >= ...")
    begins = max(question.starts_at, 0)  # nothing is kept of an instant before
    ends = now if question.ends_at is None else min(question.ends_at, now)
    if ends <= begins:
        return []
    chosen = [
        (tags, place)
        for tags, place in _channels(connection, meters)
        if _fits(question.where, tags)
    ]
    days = -(-max(0, ends - begins) // _DAY_S) + 1
    if len(chosen) * days > METER_DAYS_MAX:
        raise QueryError(f"{len(chosen)} meters over {days} days are too much: ask for less")
    groups: dict[tuple[str, ...], list[Point]] = {}
    for tags, place in chosen:
        key = tuple(tags[name] for name in question.tags)
        groups.setdefault(key, []).extend(_points(connection, place, begins, ends))
    found = []
    for key, points in sorted(groups.items()):
        rows = _rows(question, sorted(points), begins, ends)
        if any(number is not None for _, numbers in rows for number in numbers):
            found.append(EnergySeries(dict(zip(question.tags, key, strict=True)), rows))
    return found


def _channels(
    connection: sa.Connection, meters: Sequence[MeterPlace]
) -> Iterator[tuple[dict[str, str], MeterPlace]]:
    for place in meters:
        meter = dashed(place.meter_id)
        yield {"flow": "import", "meter": meter}, place
        exporting = export_place(connection, place=place)
        if exporting is not None:
            yield {"flow": "export", "meter": meter}, exporting


def _fits(where: Conditions | TagCondition, tags: dict[str, str]) -> bool:
    if isinstance(where, TagCondition):
        return (where.words is None or tags[where.tag] in where.words) is where.is_one_of
    fits = (_fits(condition, tags) for condition in where.conditions)
    return all(fits) if where.all_of_them else any(fits)


def _points(
    connection: sa.Connection, place: MeterPlace, begins: int, ends: int
) -> Iterator[Point]:
    zone = time_zone(place.zone)
    if ends <= begins:
        return
    for day in channel_days(
        connection,
        channel_id=place.channel_id,
        interval_s=place.interval_s,
        first_day=local_day(begins, zone),
        end_day=local_day(ends + _DAY_S, zone),
        zone=zone,
    ):
        for index, amount in enumerate(day.amounts):
            starts_at = day.starts_at + index * day.interval_s
            if amount is not None and begins <= starts_at < ends:
                yield starts_at, amount, day.interval_s


def _rows(
    question: Question, points: list[Point], begins: int, ends: int
) -> list[tuple[int, list[Number]]]:
    columns = question.columns
    rows: list[tuple[int, list[Number]]]
    if not columns[0].function:
        rows = [(point[0], [_amount(point, one.field) for one in columns]) for point in points]
    elif question.every_s is None:
        rows = [(begins, [_made(one, points) for one in columns])] if points else []
    else:
        rows = _buckets(question, points, question.every_s, begins, ends)
    if question.newest_first:
        rows.reverse()
    if len(rows) > POINTS_MAX:
        raise QueryError(f"more than {POINTS_MAX} points: ask for less")
    return rows[: question.limit]


def _buckets(
    question: Question, points: list[Point], every_s: int, begins: int, ends: int
) -> list[tuple[int, list[Number]]]:
    if (ends - begins) // every_s > POINTS_MAX:
        raise QueryError(f"more than {POINTS_MAX} points: ask for less")

    def bucket(instant: int) -> int:
        return _bucket(instant, every_s, question.zone)

    known = {start: list(group) for start, group in groupby(points, lambda one: bucket(one[0]))}
    wanted = sorted(known)
    step_s = max(1, every_s // 2)  # no day of 23 hours is stepped over
    if question.fill != "none":
        wanted = sorted({bucket(at) for at in (*range(begins, ends, step_s), ends - 1)} | {*known})
    rows: list[tuple[int, list[Number]]] = []
    for start in wanted:
        before = rows[-1][1] if rows else [None] * len(question.columns)
        numbers = [
            _made(one, known[start]) if start in known else _filled(question.fill, one, last)
            for one, last in zip(question.columns, before, strict=True)
        ]
        rows.append((start, numbers))
    return rows


def _bucket(instant: int, every_s: int, zone: ZoneInfo) -> int:
    offset = local_time(instant, zone).utcoffset()
    shift = int(offset.total_seconds()) if offset else 0
    start = instant - (instant + shift) % every_s
    begun = local_time(start, zone).utcoffset()
    # Across a change of the clock the bucket begins by the clock that was valid then.
    return start + shift - (int(begun.total_seconds()) if begun else 0)


def _filled(fill: str | float | None, column: Column, before: Number) -> Number:
    if fill == "previous":
        return before
    if isinstance(fill, float):
        return fill
    return 0 if column.function == "count" else None


def _made(column: Column, points: list[Point]) -> Number:
    if column.function == "count":
        return len(points)
    if column.function == "sum" and column.field == "kWh":
        # Whole Wh are added up, so that the sum is that of every page.
        return wh_to_kwh(sum(point[1] for point in points))
    return _FUNCTIONS[column.function]([_amount(point, column.field) for point in points])


_FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "mean": lambda amounts: sum(amounts) / len(amounts),
    "min": min,
    "max": max,
    "first": lambda amounts: amounts[0],
    "last": lambda amounts: amounts[-1],
}


def _amount(point: Point, field: str) -> float:
    _, energy_wh, length_s = point
    return wh_to_kwh(energy_wh) if field == "kWh" else energy_wh * 3600 / length_s / 1000
