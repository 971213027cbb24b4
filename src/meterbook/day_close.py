"""
Day close: a local day's readings move from the daybook to the ledger.

    daybook ──take──► fold ──► merge with what the ledger has ──► ledger, next revision if changed

One transaction for each chunk of channels takes rows out of the one book and puts them into the
other, so it can be killed anywhere and run again: what is done is done, what is not is still in
the daybook. Running it again with nothing new changes nothing. The same run takes late readings
of a closed day into its next revision.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.closed_days import ClosedDay, DayColumns, Merged, merge
from meterbook.domain.day_tables import DayTable, fold, table_of
from meterbook.domain.local_days import day_bounds, day_number, local_day, midnight, numbered_day
from meterbook.domain.readings import HALF_HOUR_S, Quality
from meterbook.rollups.changes import count_days, hold_regions
from meterbook.rollups.upkeep import settle_all
from meterbook.storage.database import Database, is_conflict
from meterbook.storage.tables import channels, day_closes

CHANNELS_PER_CHUNK = 5_000  # one commit of 240,000 readings: 100 ms, so packets hardly wait; of
# channels kept by the minute as many fewer
_TRIES_MAX = 10  # of one chunk, against late packets arriving in that very moment


class DayNotOverError(ValueError):
    """The day has not ended on that zone's clock; its readings are still coming."""


class DayClose(msgspec.Struct, frozen=True):
    """What a close did."""

    zone: str
    day: date
    channel_days: int = 0
    """Rows written to the ledger, revisions included."""
    readings: int = 0
    """Readings taken out of the daybook."""
    revised: int = 0
    """Of the rows, how many are a later revision."""


class _Chunk(msgspec.Struct, frozen=True):
    channel_ids: daybook.IntColumn
    interval_s: int
    alone: bool
    """Every channel between the first and the last is one of these."""
    picked: bool = False
    """Only these channels are meant, however many lie between them."""


def close_day(
    database: Database,
    *,
    day: date,
    zone: ZoneInfo,
    now: int,
    channels_per_chunk: int = CHANNELS_PER_CHUNK,
    on_chunk: Callable[[int], None] = lambda _done: None,
) -> DayClose:
    """
    Close the local day for every channel of the zone; memory does not grow with their number.

    :param on_chunk: called after each chunk's commit with the number of channels done.
    :raises DayNotOverError: if the day has not ended at `now`.
    """
    if now < day_bounds(day, zone)[1]:
        raise DayNotOverError(f"{day} is not over in {zone.key}")
    total = DayClose(zone.key, day)
    done = 0
    for chunk in _chunks(database, zone=zone, channels_per_chunk=channels_per_chunk):
        part = _close_chunk(database, chunk, day=day, zone=zone, now=now)
        total = msgspec.structs.replace(
            total,
            channel_days=total.channel_days + part[0],
            readings=total.readings + part[1],
            revised=total.revised + part[2],
        )
        done += len(chunk.channel_ids)
        on_chunk(done)
    with database.writing() as connection:
        _record_close(connection, total, now=now)
    settle_all(database)
    return total


def close_channels(
    connection: sa.Connection,
    *,
    channel_ids: daybook.IntColumn,
    interval_s: int,
    day: date,
    zone: ZoneInfo,
    now: int,
) -> int:
    """
    Take what waits in the daybook for an ended day of some channels; return how many readings.

    Part of the caller's transaction, which must be serial (`Database.writing(serial=True)`).

    :param channel_ids: of the zone, with one interval length, rising, shape (n,).
    """
    taken = 0
    for begin in range(0, len(channel_ids), CHANNELS_PER_CHUNK):
        some = channel_ids[begin : begin + CHANNELS_PER_CHUNK]
        chunk = _Chunk(some, interval_s, alone=False, picked=True)
        taken += _close_chunk_once(connection, chunk, day=day, zone=zone, now=now)[1]
    return taken


def days_to_close(
    connection: sa.Connection, *, zone: ZoneInfo, due_at: int, late_before: int
) -> list[date]:
    """
    Return the local days that end by due_at and were never closed, or have late readings.

    :param late_before: no zone has a day open that begins before it. In the intervals after it,
        readings of other zones are still at home in the daybook, and say nothing about this one.
    """
    today = local_day(due_at, zone)
    starts = daybook.open_interval_starts(connection, starts_at=0, ends_at=midnight(today, zone))
    days = {local_day(start, zone) for start in starts}
    days.add(local_day(midnight(today, zone) - 1, zone))
    return sorted(
        day
        for day in days
        if day_bounds(day, zone)[1] <= late_before
        or not is_closed(connection, day=day, zone=zone.key)
    )


def is_closed(connection: sa.Connection, *, day: date, zone: str) -> bool:
    """Say whether the zone's local day has been closed."""
    found = connection.execute(
        sa.select(day_closes.c.day).where(
            day_closes.c.zone == zone, day_closes.c.day == day_number(day)
        )
    )
    return found.first() is not None


def zones(connection: sa.Connection) -> list[str]:
    """Return the zones that have channels, by name."""
    return list(connection.scalars(sa.select(channels.c.zone).distinct().order_by(channels.c.zone)))


def put_new_days(connection: sa.Connection, days: DayTable, *, now: int, zone: ZoneInfo) -> None:
    """Write days that the ledger does not have yet."""
    ledger.write_days(connection, days, closed_at=now)
    count_days(connection, added=days, removed=table_of([]), zone=zone)


def put_into_ledger(
    connection: sa.Connection,
    days: Sequence[ClosedDay],
    *,
    existing: dict[tuple[int, int], ClosedDay],
    now: int,
    reason: str,
    zone: ZoneInfo,
) -> tuple[int, int]:
    """
    Write new days, revise changed ones, keep what lost; return rows written and rows revised.

    :param existing: what the ledger has of them, by (day, channel_id).
    """
    new = [day for day in days if (day.day, day.channel_id) not in existing]
    merged: list[tuple[ClosedDay, Merged]] = []
    for day in days:
        earlier = existing.get((day.day, day.channel_id))
        if earlier is not None and earlier != day:
            merged.append((earlier, merge(earlier, day)))
    changed = [result.day for earlier, result in merged if result.day != earlier]
    ledger.write_days(connection, new, closed_at=now)
    ledger.revise_days(connection, changed, revised_at=now, reason=reason)
    was = [earlier for earlier, result in merged if result.day != earlier]
    count_days(connection, added=table_of([*new, *changed]), removed=table_of(was), zone=zone)
    daybook.keep_superseded(
        connection,
        [
            (result.day.channel_id, start, amount, int(quality), now * 1000, now)
            for _, result in merged
            for start, amount, quality in _superseded(result, zone)
        ],
    )
    return len(new) + len(changed), len(changed)


def _superseded(merged: Merged, zone: ZoneInfo) -> Iterator[tuple[int, int, Quality]]:
    begins_at, ends_at = day_bounds(numbered_day(merged.day.day), zone)
    for index, amount, quality in merged.superseded:
        yield (
            begins_at + index * ((ends_at - begins_at) // merged.superseded_slots),
            amount,
            quality,
        )


def _chunks(database: Database, *, zone: ZoneInfo, channels_per_chunk: int) -> Iterator[_Chunk]:
    """Yield the zone's channels by the length of their intervals: each has a grid of its own."""
    with database.reading() as connection:
        lengths_s = connection.scalars(
            sa.select(channels.c.interval_s)
            .where(channels.c.zone == zone.key)
            .distinct()
            .order_by(channels.c.interval_s)
        ).all()
    for interval_s in lengths_s:
        count = max(channels_per_chunk * min(interval_s, HALF_HOUR_S) // HALF_HOUR_S, 1)
        last = 0
        while chunk := _next_chunk(database, zone, interval_s, after=last, count=count):
            yield chunk
            last = int(chunk.channel_ids[-1])


def _next_chunk(
    database: Database, zone: ZoneInfo, interval_s: int, *, after: int, count: int
) -> _Chunk | None:
    with database.reading() as connection:
        ids = connection.scalars(
            sa.select(channels.c.id)
            .where(_alike(zone, interval_s), channels.c.id > after)
            .order_by(channels.c.id)
            .limit(count)
        ).all()
        if not ids:
            return None
        between = connection.execute(
            sa.select(sa.func.count()).where(channels.c.id.between(ids[0], ids[-1]))
        ).scalar_one()
    return _Chunk(np.array(ids, dtype=np.int64), interval_s, alone=between == len(ids))


def _alike(zone: ZoneInfo, interval_s: int) -> sa.ColumnElement[bool]:
    return sa.and_(channels.c.zone == zone.key, channels.c.interval_s == interval_s)


def _among(chunk: _Chunk, zone: ZoneInfo) -> sa.Select[tuple[int]] | None:
    if chunk.alone:
        return None
    among = sa.select(channels.c.id).where(_alike(zone, chunk.interval_s))
    return among.where(channels.c.id.in_(chunk.channel_ids.tolist())) if chunk.picked else among


def _close_chunk(
    database: Database, chunk: _Chunk, *, day: date, zone: ZoneInfo, now: int
) -> tuple[int, int, int]:
    for tries_left in reversed(range(_TRIES_MAX)):
        try:
            with database.writing(serial=True) as connection:
                hold_regions(connection)
                return _close_chunk_once(connection, chunk, day=day, zone=zone, now=now)
        except sa.exc.DBAPIError as error:
            if not tries_left or not is_conflict(error):
                raise
            time.sleep(0.01)
    raise AssertionError


def _close_chunk_once(
    connection: sa.Connection, chunk: _Chunk, *, day: date, zone: ZoneInfo, now: int
) -> tuple[int, int, int]:
    columns = _take(connection, chunk, day=day, zone=zone)
    number = day_number(day)
    days = fold(columns)
    if not len(days):
        return 0, 0, 0
    existing = _in_ledger(connection, days, chunk, number=number)
    if not existing:
        put_new_days(connection, days, now=now, zone=zone)
        return len(days), len(columns.channel_id), 0
    written, revised = put_into_ledger(
        connection,
        days.days(),
        existing=existing,
        now=now,
        reason="late reading",
        zone=zone,
    )
    return written, len(columns.channel_id), revised


def _in_ledger(
    connection: sa.Connection, days: DayTable, chunk: _Chunk, *, number: int
) -> dict[tuple[int, int], ClosedDay]:
    if chunk.picked:
        return ledger.days_by_key(connection, [(number, n) for n in days.channel_id.tolist()])
    existing = ledger.days_of_channels(
        connection,
        day=number,
        first_channel_id=int(chunk.channel_ids[0]),
        last_channel_id=int(chunk.channel_ids[-1]),
    )
    return {(number, channel_id): row for channel_id, row in existing.items()}


def _take(connection: sa.Connection, chunk: _Chunk, *, day: date, zone: ZoneInfo) -> DayColumns:
    begins_at, ends_at = day_bounds(day, zone)
    parts: list[tuple[daybook.IntColumn, ...]] = []
    # A reading off its channel's grid has no place in a closed day: it stays in the daybook.
    for start in daybook.open_interval_starts(
        connection, starts_at=begins_at, ends_at=ends_at, step_s=chunk.interval_s
    ):
        channel_id, amount, quality = daybook.take_interval(
            connection,
            starts_at=start,
            first_channel_id=int(chunk.channel_ids[0]),
            last_channel_id=int(chunk.channel_ids[-1]),
            among=_among(chunk, zone),
        )
        slot = (start - begins_at) // chunk.interval_s
        parts.append((channel_id, amount, quality, np.full(len(channel_id), slot)))
    empty = (np.empty(0, dtype=np.int64),) * 4
    columns = [np.concatenate(part) for part in zip(*(parts or [empty]), strict=True)]
    return DayColumns(
        channel_id=columns[0],
        day=np.full(len(columns[0]), day_number(day)),
        slot=columns[3],
        amount=columns[1],
        quality=columns[2],
        slots_in_day=np.full(len(columns[0]), (ends_at - begins_at) // chunk.interval_s),
    )


def _record_close(connection: sa.Connection, close: DayClose, *, now: int) -> None:
    if not is_closed(connection, day=close.day, zone=close.zone):
        connection.execute(
            sa.insert(day_closes).values(
                zone=close.zone,
                day=day_number(close.day),
                closed_at=now,
                channel_days=close.channel_days,
                readings=close.readings,
                revised=close.revised,
            )
        )
    elif close.readings:
        connection.execute(
            sa.update(day_closes)
            .where(day_closes.c.zone == close.zone, day_closes.c.day == day_number(close.day))
            .values(
                reclosed_at=now,
                channel_days=day_closes.c.channel_days + close.channel_days - close.revised,
                readings=day_closes.c.readings + close.readings,
                revised=day_closes.c.revised + close.revised,
            )
        )
