"""
Loads columns of readings: ended local days into the ledger, the open day into the daybook.

    readings ──► placed ──┬─ ended days ──► ledger, next revision if the day is there already
                          └─ open day ────► daybook

What is loaded arrived last: what waits in the daybook for the same days is taken into the ledger
first, and then a different value counts from now on, the earlier one is kept. Only where the
caller says that the book is newer (`book_stands`) do its values stay. Loading twice changes
nothing.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.bulk_load.placing import placed
from meterbook.day_close import (
    close_channels,
    in_serial_transaction,
    put_into_ledger,
    put_new_days,
)
from meterbook.domain.closed_days import ClosedDay, merge
from meterbook.domain.day_tables import DayTable
from meterbook.domain.local_days import day_bounds, day_number, local_day, midnight, numbered_day
from meterbook.domain.reading_columns import IntColumn, QualityColumn, ReadingColumns, distinct
from meterbook.domain.readings import Quality, Reading
from meterbook.rollups.upkeep import settle_all
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch

REASON = "import"
Result = TypeVar("Result")


class MixedChannelsError(ValueError):
    """The channels are unknown, of another zone or of different interval lengths."""


class LoadReport(msgspec.Struct, frozen=True):
    """What a load did."""

    readings: int = 0
    """In the columns, repetitions included."""
    repeated: int = 0
    """Twice in the columns with the same value."""
    conflicts: int = 0
    """Twice in the columns with different values: the last counts, the earlier is kept."""
    off_grid: int = 0
    """Not at the start of an interval of their local day: not stored."""
    open_readings: int = 0
    """Of a day that is not over: in the daybook."""
    new_days: int = 0
    """Days of a channel that the ledger did not have."""
    revised_days: int = 0
    """Days of a channel that got their next revision."""
    unplaced: int = 0
    """Of a day that is not over, in intervals that do not add up to the channel's: not stored."""
    differing: int = 0
    """The book had another value: kept, and it counts only where the book stands."""
    first_starts_at: int | None = None
    """Start of the earliest interval."""
    last_starts_at: int | None = None
    """Start of the latest interval."""

    def plus(self, other: "LoadReport") -> "LoadReport":
        """Return the report of both loads together."""
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__struct_fields__
            if not name.endswith("starts_at")
        }
        firsts = [r.first_starts_at for r in (self, other) if r.first_starts_at is not None]
        lasts = [r.last_starts_at for r in (self, other) if r.last_starts_at is not None]
        return LoadReport(
            **sums,
            first_starts_at=min(firsts, default=None),
            last_starts_at=max(lasts, default=None),
        )


def load(
    database: Database,
    *,
    channel_id: IntColumn,
    starts_at: IntColumn,
    amount: IntColumn,
    quality: QualityColumn,
    zone: ZoneInfo,
    now: int,
    book_stands: bool = False,
    on_progress: Callable[[int], None] = lambda _readings: None,
) -> LoadReport:
    """
    Load readings of channels of one zone and interval length, all or none, in one transaction.

    :param channel_id: with the other columns of shape (n,), in order of arrival.
    :param book_stands: where the book has another value, it stays and is counted as differing.
    :param on_progress: called at the end with the number of readings.
    :raises MixedChannelsError: if the channels do not fit together.
    """
    columns = ReadingColumns(channel_id, starts_at, amount, quality)
    report = in_one_transaction(
        database,
        lambda connection: load_channels(
            connection, columns, zone=zone, now=now, book_stands=book_stands
        ),
    )
    on_progress(len(columns))
    return report


def in_one_transaction(database: Database, work: Callable[[sa.Connection], Result]) -> Result:
    """Do the work in one serial transaction, and settle the roll-ups."""
    result = in_serial_transaction(database, work)
    settle_all(database)
    return result


def load_channels(
    connection: sa.Connection,
    columns: ReadingColumns,
    *,
    zone: ZoneInfo,
    now: int,
    book_stands: bool = False,
    file_interval_s: int | None = None,
) -> LoadReport:
    """
    Load readings of channels of one zone and interval length in the caller's transaction.

    :param file_interval_s: length of the readings' intervals where it is not the channels'.
        Ended days then keep the file's intervals; an open day is summed up to the channels'.
    :raises MixedChannelsError: if the channels do not fit together.
    """
    if not len(columns):
        return LoadReport()
    interval_s = _interval_s(connection, distinct(columns.source), zone=zone)
    from_s = file_interval_s or interval_s
    found = placed(columns, zone=zone, from_s=from_s, to_s=interval_s, now=now)
    take_waiting(
        connection,
        channel_id=found.closed.channel_id,
        day=found.closed.day,
        interval_s=interval_s,
        zone=zone,
        now=now,
    )
    if not book_stands:  # first, for what replaced them arrived last
        keep_superseded(connection, _readings(found.superseded), now=now)
    days = _load_table(connection, found.closed, zone=zone, now=now, book_stands=book_stands)
    if book_stands:
        open_, differing = _unknown_to_daybook(connection, found.open)
        days = msgspec.structs.replace(days, differing=days.differing + differing)
    else:
        open_ = found.open
    daybook.record_readings(connection, _readings(open_), received_at_ms=now * 1000)
    return msgspec.structs.replace(
        days,
        readings=len(columns),
        repeated=found.repeated,
        conflicts=len(found.superseded),
        off_grid=found.off_grid,
        unplaced=found.unplaced,
        open_readings=len(open_),
        **_span(columns),
    )


def _span(columns: ReadingColumns) -> dict[str, int]:
    first, last = int(columns.starts_at.min()), int(columns.starts_at.max())
    return {"first_starts_at": first, "last_starts_at": last}


def _load_table(
    connection: sa.Connection, days: DayTable, *, zone: ZoneInfo, now: int, book_stands: bool
) -> LoadReport:
    existing = _standing(connection, days)
    if not existing:
        put_new_days(connection, days, now=now, zone=zone)
        return LoadReport(new_days=len(days))
    return _load_over(
        connection, days.days(), existing, zone=zone, now=now, book_stands=book_stands
    )


def _standing(connection: sa.Connection, days: DayTable) -> dict[tuple[int, int], ClosedDay]:
    if not len(days):
        return {}
    first, last = int(days.day.min()), int(days.day.max())
    if not ledger.has_days(connection, first_day=first, end_day=last + 1):
        return {}
    keys = list(zip(days.day.tolist(), days.channel_id.tolist(), strict=True))
    return ledger.days_by_key(connection, keys)


def load_days(
    connection: sa.Connection,
    days: Sequence[ClosedDay],
    *,
    zone: ZoneInfo,
    now: int,
    book_stands: bool,
) -> LoadReport:
    """Put ended days into the ledger; what waits in the daybook for them must be there already."""
    existing = ledger.days_by_key(connection, [(day.day, day.channel_id) for day in days])
    return _load_over(connection, days, existing, zone=zone, now=now, book_stands=book_stands)


def _load_over(
    connection: sa.Connection,
    days: Sequence[ClosedDay],
    existing: dict[tuple[int, int], ClosedDay],
    *,
    zone: ZoneInfo,
    now: int,
    book_stands: bool,
) -> LoadReport:
    differing = 0
    if existing and not book_stands:
        pairs = ((existing.get((day.day, day.channel_id)), day) for day in days)
        differing = sum(_differing(stored, day) for stored, day in pairs if stored is not None)
    elif existing:
        wanted = []
        for day in days:
            stored = existing.get((day.day, day.channel_id))
            if stored is None:
                wanted.append(day)
                continue
            differing += _differing(stored, day)
            if len(stored.intervals) == len(day.intervals):
                # The book's values over the file's.
                wanted.append(merge(day, stored, edits_stand=False).day)
        days = wanted
    written, revised = put_into_ledger(
        connection, days, existing=existing, now=now, reason=REASON, zone=zone
    )
    return LoadReport(new_days=written - revised, revised_days=revised, differing=differing)


def _interval_s(connection: sa.Connection, channel_ids: IntColumn, *, zone: ZoneInfo) -> int:
    rows = [(number,) for number in channel_ids.tolist()]
    source, parameters = batch(connection, columns={"channel_id": "bigint"}, rows=rows)
    statement = f"""
        SELECT channels.interval_s, channels.zone, count(*)
        FROM {source} CROSS JOIN channels WHERE channels.id = batch.channel_id
        GROUP BY channels.interval_s, channels.zone
    """  # noqa: S608 built from our own names only
    found = connection.execute(sa.text(statement), parameters).all()
    if len(found) != 1 or found[0][1] != zone.key or found[0][2] != len(rows):
        raise MixedChannelsError(f"not all channels are of {zone.key} with one interval length")
    return int(found[0][0])


def take_waiting(
    connection: sa.Connection,
    *,
    channel_id: IntColumn,
    day: IntColumn,
    interval_s: int,
    zone: ZoneInfo,
    now: int,
) -> None:
    """Take what waits in the daybook for these days of these channels into the ledger first."""
    if not len(day):
        return
    first, last = numbered_day(int(day.min())), numbered_day(int(day.max()))
    starts = daybook.waiting_starts(
        connection,
        distinct(channel_id).tolist(),
        starts_at=midnight(first, zone),
        ends_at=day_bounds(last, zone)[1],
    )
    waiting = {day_number(local_day(start, zone)) for start in starts}
    for number in sorted(waiting):
        close_channels(
            connection,
            channel_ids=distinct(channel_id[day == number]),
            interval_s=interval_s,
            day=numbered_day(number),
            zone=zone,
            now=now,
        )


def _differing(stored: ClosedDay, loaded: ClosedDay) -> int:
    if len(stored.intervals) != len(loaded.intervals):
        return int(stored.energy != loaded.energy)
    pairs = zip(stored.intervals, loaded.intervals, strict=True)
    return sum(a is not None and b is not None and a != b for a, b in pairs)


def _unknown_to_daybook(
    connection: sa.Connection, readings: ReadingColumns
) -> tuple[ReadingColumns, int]:
    unknown = np.ones(len(readings), dtype=bool)
    differing = 0
    for start in np.unique(readings.starts_at).tolist():
        at = np.flatnonzero(readings.starts_at == start)
        between = ChannelRange(int(readings.source[at].min()), int(readings.source[at].max()))
        channel_ids, amounts, _ = daybook.read_interval(
            connection, starts_at=start, channels=between
        )
        if not len(channel_ids):
            continue
        found = np.minimum(np.searchsorted(channel_ids, readings.source[at]), len(channel_ids) - 1)
        known = channel_ids[found] == readings.source[at]
        unknown[at[known]] = False
        differing += int((amounts[found] != readings.amount[at])[known].sum())
    return readings.only(unknown), differing


def _readings(columns: ReadingColumns) -> list[Reading]:
    rows = zip(
        columns.source.tolist(),
        columns.starts_at.tolist(),
        columns.amount.tolist(),
        columns.quality.tolist(),
        strict=True,
    )
    return [Reading(channel, start, amount, Quality(q)) for channel, start, amount, q in rows]


def keep_superseded(connection: sa.Connection, readings: Sequence[Reading], *, now: int) -> None:
    """Keep readings that others took the place of; the same file again brings no second copy."""
    rows = [(r.channel_id, r.starts_at, r.amount, int(r.quality)) for r in readings]
    daybook.keep_superseded_once(connection, rows, received_at_ms=now * 1000)
