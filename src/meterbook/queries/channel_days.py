"""
A channel's days as they stand: the ledger with the daybook laid over it.

This is the one place where the two books meet for a reader. Every figure anybody sees is summed
from what it returns, so no two views can disagree.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from math import gcd
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.closed_days import ClosedDay, DaySum, DaySums, closed_day, merge
from meterbook.domain.local_days import (
    day_bounds,
    day_number,
    local_day,
    midnight,
    numbered_day,
)
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


Days = DaySums | list[DayReadings | DaySum]


class Span(msgspec.Struct, frozen=True):
    """Days of a channel that somebody asks for."""

    channel_id: int
    interval_s: int
    """The channel's interval, for days the ledger does not have."""
    first_day: date
    end_day: date
    """The first one out."""
    zone: ZoneInfo


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
    span = Span(channel_id, interval_s, first_day, end_day, zone)
    # Open readings first: what a close takes in between is then seen twice, and not never.
    opened = _open_by_day(connection, [span])[channel_id]
    first, end = day_number(first_day), day_number(end_day)
    closed = _closed_by_day(connection, channel_id, first, end)
    for number in range(first, end):
        day = numbered_day(number)
        standing = _standing(span, day, closed.get(number), opened.get(day))
        if standing is not None:
            yield standing


def channel_day_sums(connection: sa.Connection, spans: Sequence[Span], *, now: int) -> list[Days]:
    """
    Return the same days of many channels, of each the sum only where that says all.

    For questions no finer than a day: those of one quality, over and closed, need no intervals.

    :returns: one of each span, DaySums where they are all there is to say.
    """
    answers: dict[int, Days] = {}
    for places in _alike(spans).values():
        alike = [spans[place] for place in places]
        opened = _open_by_day(connection, alike)
        sums = ledger.sums_of_channels(
            connection,
            list(opened),
            first_day=day_number(alike[0].first_day),
            end_day=day_number(alike[0].end_day),
        )
        for place, span in zip(places, alike, strict=True):
            answers[place] = _summed(
                connection, span, sums.get(span.channel_id), opened[span.channel_id], now=now
            )
    return [answers[place] for place in range(len(spans))]


def _alike(spans: Sequence[Span]) -> dict[tuple[object, ...], list[int]]:
    """Return the places of spans that one question can ask for together."""
    places: dict[tuple[object, ...], list[int]] = {}
    for place, span in enumerate(spans):
        key = (span.first_day, span.end_day, span.zone, span.interval_s)
        places.setdefault(key, []).append(place)
    return places


def _summed(
    connection: sa.Connection,
    span: Span,
    sums: DaySums | None,
    opened: dict[date, list[Reading]],
    *,
    now: int,
) -> Days:
    numbers = range(day_number(span.first_day), day_number(span.end_day))
    enough: dict[int, DaySum] = {}
    if sums is not None:
        is_over = midnight(span.end_day, span.zone) <= now
        if is_over and not opened and sums.day == [*numbers]:  # as nearly always
            return sums
        enough = {
            one.day: one
            for one in sums.each()
            if not one.missing or _is_over(one.day, span.zone, now=now)
        }
    for day in opened:  # what is late is laid over the day's intervals
        enough.pop(day_number(day), None)
    rest = [number for number in numbers if number not in enough]
    closed = _closed_by_day(connection, span.channel_id, rest[0], rest[-1] + 1) if rest else {}
    found: list[DayReadings | DaySum] = []
    for number in numbers:
        one = enough.get(number)
        if one is not None:
            found.append(one)
            continue
        day = numbered_day(number)
        standing = _standing(span, day, closed.get(number), opened.get(day))
        if standing is not None:
            found.append(standing)
    return found


def _is_over(number: int, zone: ZoneInfo, *, now: int) -> bool:
    return midnight(numbered_day(number + 1), zone) <= now


def _closed_by_day(
    connection: sa.Connection, channel_id: int, first: int, end: int
) -> dict[int, ClosedDay]:
    found = ledger.days_of_channel(connection, channel_id=channel_id, first_day=first, end_day=end)
    return {row.day: row for row in found}


def _standing(
    span: Span, day: date, row: ClosedDay | None, readings: list[Reading] | None
) -> DayReadings | None:
    """Return the day as it stands; None if the clock skips it."""
    begins_at, ends_at = day_bounds(day, span.zone)
    if ends_at == begins_at:
        return None
    if readings:
        late = _day_of(readings, day=day, bounds=(begins_at, ends_at), interval_s=span.interval_s)
        row = late if row is None else merge(row, late).day
    if row is None:
        count = (ends_at - begins_at) // span.interval_s
        return DayReadings(day, begins_at, span.interval_s, [None] * count, Quality.RAW, None)
    length_s = (ends_at - begins_at) // len(row.intervals)
    return DayReadings(day, begins_at, length_s, row.intervals, row.quality, row.qualities)


def _open_by_day(
    connection: sa.Connection, spans: Sequence[Span]
) -> dict[int, dict[date, list[Reading]]]:
    """Return the open readings of spans that differ in nothing but their channel, by it and day."""
    by_channel: dict[int, dict[date, list[Reading]]] = {span.channel_id: {} for span in spans}
    span = spans[0]
    readings = daybook.open_readings(
        connection,
        list(by_channel),
        starts_at=midnight(span.first_day, span.zone),
        ends_at=midnight(span.end_day, span.zone),
        step_s=gcd(span.interval_s, _GRID_S),
    )
    for reading in readings:
        day = local_day(reading.starts_at, span.zone)
        by_channel[reading.channel_id].setdefault(day, []).append(reading)
    return by_channel


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
