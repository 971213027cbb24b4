"""
Day close: a local day's readings move from the daybook to the ledger.

    daybook ──take──► fold ──► merge with what the ledger has ──► ledger, next revision if changed

One transaction for each chunk of channels takes rows out of the one book and puts them into the
other, so it can be killed anywhere and run again: what is done is done, what is not is still in
the daybook. Running it again with nothing new changes nothing. The same run takes late readings
of a closed day into its next revision. Where the database has more than one writer several chunks
are closed at once; on Citus each is of one shard, so a commit waits for one node.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import date
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.closed_days import ClosedDay, DayColumns, Merged, merge
from meterbook.domain.day_tables import DayTable, fold, table_of
from meterbook.domain.local_days import day_bounds, day_number, local_day, midnight, numbered_day
from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.rollups.changes import count_days, hold_regions
from meterbook.rollups.upkeep import settle_all
from meterbook.storage.channel_ranges import ChannelRange, within_zone
from meterbook.storage.database import Database, is_conflict
from meterbook.storage.dialects import is_distributed
from meterbook.storage.distribution import shards_of
from meterbook.storage.tables import channels, day_closes

CHANNELS_PER_CHUNK = 5_000  # one commit of 240,000 readings: 100 ms, so packets hardly wait; of
# channels kept by the minute as many fewer
SHARDS_AT_ONCE = 32  # so many chunks' channels are looked up together and sorted by shard
CLOSERS = 4  # chunks at once; one process's Python is busy with three, the fourth waits for disks
_TRIES_MAX = 10  # of one transaction, against packets arriving in that very moment
Result = TypeVar("Result")


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
    channels: ChannelRange
    count: int
    interval_s: int


def close_day(
    database: Database,
    *,
    day: date,
    zone: ZoneInfo,
    now: int,
    channels_per_chunk: int = CHANNELS_PER_CHUNK,
    closers: int = CLOSERS,
    on_chunk: Callable[[int], None] = lambda _done: None,
) -> DayClose:
    """
    Close the local day for every channel of the zone; memory does not grow with their number.

    :param closers: how many chunks are closed at once; on SQLite always one.
    :param on_chunk: called after each chunk's commit with the number of channels done.
    :raises DayNotOverError: if the day has not ended at `now`.
    """
    if day >= local_day(now, zone):
        raise DayNotOverError(f"{day} is not over in {zone.key}")
    total = DayClose(zone.key, day)
    done = 0

    def close(chunk: _Chunk) -> tuple[int, int, int, int]:
        closed = in_serial_transaction(
            database,
            lambda connection: _close_chunk(connection, chunk, day=day, zone=zone, now=now),
        )
        return (chunk.count, *closed)

    chunks = _chunks(database, zone=zone, channels_per_chunk=channels_per_chunk)
    for count, *part in _each(close, chunks, at_once=1 if database.is_sqlite else closers):
        total = msgspec.structs.replace(
            total,
            channel_days=total.channel_days + part[0],
            readings=total.readings + part[1],
            revised=total.revised + part[2],
        )
        done += count
        on_chunk(done)
    with database.writing() as connection:
        _record_close(connection, total, now=now)
    settle_all(database)
    return total


def close_channels(
    connection: sa.Connection,
    *,
    channel_ids: IntColumn,
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
        chunk = _chunk(some, interval_s, alone=False)
        taken += _close_chunk(connection, chunk, day=day, zone=zone, now=now)[1]
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


def in_serial_transaction(
    database: Database, work: Callable[[sa.Connection], Result], *, tries_max: int = _TRIES_MAX
) -> Result:
    """
    Do the work in one serial transaction that writes the ledger; again if it lost against another.

    On Citus nodes are read as committed: there what was written in between is found by
    `daybook.ConcurrentChangeError`, `ledger.ConcurrentRevisionError` and the tables' keys.
    """
    for tries_left in reversed(range(tries_max)):
        try:
            with database.writing(serial=True) as connection:
                hold_regions(connection)
                return work(connection)
        except (daybook.ConcurrentChangeError, ledger.ConcurrentRevisionError):
            if not tries_left:
                raise
        except sa.exc.DBAPIError as error:
            if not tries_left or not is_conflict(error):
                raise
        time.sleep(0.01)
    raise AssertionError


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
    changes = [(earlier, result.day) for earlier, result in merged if result.day != earlier]
    changed = [day for _, day in changes]
    ledger.write_days(connection, new, closed_at=now)
    ledger.revise_days(connection, changes, revised_at=now, reason=reason)
    was = [earlier for earlier, _ in changes]
    count_days(connection, added=table_of([*new, *changed]), removed=table_of(was), zone=zone)
    overruled: list[daybook.SupersededReading] = []
    superseded: list[tuple[int, ...]] = []
    for _, result in merged:
        for row in _superseded(result, zone):
            if result.overruled:
                overruled.append(row)
            else:
                superseded.append((*row, now * 1000, now))
    daybook.keep_superseded(connection, superseded)
    daybook.keep_overruled(connection, overruled, received_at_ms=now * 1000)
    return len(new) + len(changed), len(changed)


def _superseded(merged: Merged, zone: ZoneInfo) -> Iterator[daybook.SupersededReading]:
    begins_at, ends_at = day_bounds(numbered_day(merged.day.day), zone)
    length_s = (ends_at - begins_at) // merged.superseded_slots
    # A second late where its interval is no interval of the day: a withdrawn edit lets count
    # again what is kept at its very start, and that must not be the total of the day.
    late_s = int(merged.superseded_slots != len(merged.day.intervals))
    for index, amount, quality in merged.superseded:
        yield merged.day.channel_id, begins_at + index * length_s + late_s, amount, int(quality)


def _each(
    work: Callable[[_Chunk], Result], chunks: Iterable[_Chunk], *, at_once: int
) -> Iterator[Result]:
    """Yield what the work returns of each chunk, in the order in which they are done."""
    if at_once == 1:
        yield from map(work, chunks)
        return
    with ThreadPoolExecutor(at_once) as pool:
        pending: set[Future[Result]] = set()
        for chunk in chunks:
            pending.add(pool.submit(work, chunk))
            if len(pending) > at_once:  # one waits its turn, so that nobody waits for it
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in pending)


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
        while some := _next_chunks(database, zone, interval_s, after=last, count=count):
            yield from some
            last = max(chunk.channels.last for chunk in some)


def _next_chunks(
    database: Database, zone: ZoneInfo, interval_s: int, *, after: int, count: int
) -> list[_Chunk]:
    with database.reading() as connection:
        at_once = count * SHARDS_AT_ONCE if is_distributed(connection) else count
        found = connection.scalars(
            sa.select(channels.c.id)
            .where(channels.c.zone == zone.key, channels.c.interval_s == interval_s)
            .where(channels.c.id > after)
            .order_by(channels.c.id)
            .limit(at_once)
        ).all()
        ids = np.array(found, dtype=np.int64)
        if not len(ids):
            return []
        if is_distributed(connection):
            shards = shards_of(connection, ids)
            groups = [ids[shards == shard] for shard in np.unique(shards)]
            return [
                _chunk(some, interval_s, alone=False)
                for group in groups
                for some in _cut(group, count)
            ]
        between = connection.execute(
            sa.select(sa.func.count()).where(channels.c.id.between(found[0], found[-1]))
        ).scalar_one()
    return [_chunk(ids, interval_s, alone=between == len(ids))]


def _cut(ids: IntColumn, count: int) -> Iterator[IntColumn]:
    return (ids[begin : begin + count] for begin in range(0, len(ids), count))


def _chunk(ids: IntColumn, interval_s: int, *, alone: bool) -> _Chunk:
    wanted = ChannelRange(int(ids[0]), int(ids[-1]), None if alone else ids)
    return _Chunk(wanted, len(ids), interval_s)


def _close_chunk(
    connection: sa.Connection, chunk: _Chunk, *, day: date, zone: ZoneInfo, now: int
) -> tuple[int, int, int]:
    within = within_zone(connection, chunk.channels, zone=zone.key, interval_s=chunk.interval_s)
    if within is None:
        return 0, 0, 0
    columns = _take(connection, within, chunk.interval_s, day=day, zone=zone)
    number = day_number(day)
    days = fold(columns)
    if not len(days):
        return 0, 0, 0
    existing = ledger.days_of_channels(connection, day=number, channels=within)
    if not existing:
        put_new_days(connection, days, now=now, zone=zone)
        return len(days), len(columns.channel_id), 0
    written, revised = put_into_ledger(
        connection,
        days.days(),
        existing={(number, channel_id): row for channel_id, row in existing.items()},
        now=now,
        reason="late reading",
        zone=zone,
    )
    return written, len(columns.channel_id), revised


def _take(
    connection: sa.Connection, wanted: ChannelRange, interval_s: int, *, day: date, zone: ZoneInfo
) -> DayColumns:
    begins_at, ends_at = day_bounds(day, zone)
    # A reading off its channel's grid has no place in a closed day: it stays in the daybook.
    starts_at, channel_id, amount, quality = daybook.take_slots(
        connection,
        starts_at=begins_at,
        ends_at=ends_at,
        step_s=interval_s,
        channels=wanted,
    )
    return DayColumns(
        channel_id=channel_id,
        day=np.full(len(channel_id), day_number(day)),
        slot=(starts_at - begins_at) // interval_s,
        amount=amount,
        quality=quality,
        slots_in_day=np.full(len(channel_id), (ends_at - begins_at) // interval_s),
    )


def _record_close(connection: sa.Connection, close: DayClose, *, now: int) -> None:
    asked = msgspec.structs.asdict(close) | {"day": day_number(close.day), "now": now}
    connection.execute(_RECORD_CLOSE, asked)


# One statement: the job and somebody by hand may close the same day at the same moment.
_RECORD_CLOSE = sa.text("""
    INSERT INTO day_closes (zone, day, closed_at, channel_days, readings, revised)
    VALUES (:zone, :day, :now, :channel_days, :readings, :revised)
    ON CONFLICT (zone, day) DO UPDATE
    SET reclosed_at = excluded.closed_at,
        channel_days = day_closes.channel_days + excluded.channel_days - excluded.revised,
        readings = day_closes.readings + excluded.readings,
        revised = day_closes.revised + excluded.revised
    WHERE excluded.readings > 0
""")
