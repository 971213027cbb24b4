"""
The ledger: closed days, written once.

A correction writes the next revision and moves the one before to `ledger_revisions`; nothing is
ever deleted. Intervals are a MessagePack array: 1.8 bytes a London half hour, and every language
reads it.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay, DaySum
from meterbook.domain.day_tables import DayTable
from meterbook.domain.readings import Quality
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.dialects import (
    batch,
    batch_parameters,
    batch_source,
    insert_rows,
    is_distributed,
    number_source,
    numbers,
)
from meterbook.storage.tables import ledger, ledger_revisions

Item = TypeVar("Item")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int | None]).decode
_DAYS_A_STATEMENT = 5_000  # well below SQLite's 32,766 parameters; 13 years of one channel

_DAY = {"day": "integer"}
_DAY_COLUMNS = (
    ledger.c.channel_id,
    ledger.c.day,
    ledger.c.energy,
    ledger.c.intervals,
    ledger.c.missing,
    ledger.c.quality,
    ledger.c.qualities,
)
_WRITTEN = (*(column.name for column in _DAY_COLUMNS), "revision", "closed_at")


class LedgerEntry(msgspec.Struct, frozen=True):
    """A closed day with its place among the revisions."""

    closed: ClosedDay
    revision: int
    """1 is what the close wrote."""
    closed_at: int
    """When this revision was written, UTC epoch seconds."""


def write_days(
    connection: sa.Connection, days: DayTable | Sequence[ClosedDay], *, closed_at: int
) -> None:
    """
    Write the first revision of days the ledger does not have yet.

    :raises sqlalchemy.exc.IntegrityError: if it has one of them.
    """
    rows = days.rows() if isinstance(days, DayTable) else map(msgspec.structs.astuple, days)
    insert_rows(
        connection,
        ledger,
        [
            (channel_id, day, energy, _encode(intervals), missing, quality, qualities, 1, closed_at)
            for channel_id, day, energy, intervals, missing, quality, qualities in rows
        ],
        columns=_WRITTEN,
    )


class ConcurrentRevisionError(RuntimeError):
    """Another process revised the same day in between; roll back and do it again."""


def revise_days(
    connection: sa.Connection,
    changes: Sequence[tuple[ClosedDay, ClosedDay]],
    *,
    revised_at: int,
    reason: str,
) -> None:
    """
    Write the next revision of days the ledger has, and keep the one before.

    :param changes: each day as it was read and as it shall be.
    :raises ConcurrentRevisionError: if one is no longer as it was.
    """
    for some in _portions(changes):
        keys = [(day.day, day.channel_id) for _, day in some]
        columns = {"day": "integer", "channel_id": "bigint"}
        source, parameters = batch(connection, columns=columns, rows=keys)
        statement = f"""
            INSERT INTO ledger_revisions (channel_id, day, revision, energy, intervals, missing,
                                          quality, qualities, closed_at, revised_at, reason)
            SELECT ledger.channel_id, ledger.day, revision, energy, intervals, missing, quality,
                   qualities, closed_at, CAST(:revised_at AS bigint), CAST(:reason AS text)
            FROM {source} CROSS JOIN ledger
            WHERE ledger.day = batch.day AND ledger.channel_id = batch.channel_id
        """  # noqa: S608 built from our own names only
        connection.execute(
            sa.text(statement), parameters | {"revised_at": revised_at, "reason": reason}
        )
        revise = (
            sa.update(ledger)
            .where(
                ledger.c.day == sa.bindparam("at_day"),
                ledger.c.channel_id == sa.bindparam("at_channel"),
                ledger.c.intervals == sa.bindparam("was_intervals"),
                ledger.c.quality == sa.bindparam("was_quality"),
                ledger.c.qualities.is_not_distinct_from(sa.bindparam("was_qualities")),
            )
            .values(revision=ledger.c.revision + 1, closed_at=revised_at)
        )
        done = connection.execute(revise, [_changes(*change) for change in some])
        if done.rowcount != len(some):
            raise ConcurrentRevisionError


def first_and_last_day(connection: sa.Connection) -> tuple[int, int] | None:
    """Return the first and the last closed day of any channel; None: none is closed."""
    # Two questions: SQLite answers one for both by reading every row.
    first = connection.execute(sa.select(sa.func.min(ledger.c.day))).scalar()
    last = connection.execute(sa.select(sa.func.max(ledger.c.day))).scalar()
    return None if first is None or last is None else (first, last)


def days_of_channels(
    connection: sa.Connection, *, day: int, channels: ChannelRange
) -> dict[int, ClosedDay]:
    """Return the current revision of one day for a range of channels, by channel."""
    wanted, asked = channels.condition(connection)
    names = ", ".join(column.name for column in _DAY_COLUMNS)
    statement = f"SELECT {names} FROM ledger WHERE day = :day AND {wanted}"  # noqa: S608 our own names
    found = connection.execute(sa.text(statement), asked | {"day": day})
    return {row.channel_id: _closed_day(row) for row in found}


def days_by_key(
    connection: sa.Connection, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], ClosedDay]:
    """Return the current revisions of those (day, channel_id) that the ledger has."""
    closed: dict[tuple[int, int], ClosedDay] = {}
    for some in _portions(keys):
        columns = {"day": "integer", "channel_id": "bigint"}
        source, parameters = batch(connection, columns=columns, rows=some)
        names = ", ".join(f"ledger.{column.name}" for column in _DAY_COLUMNS)
        statement = f"""
            SELECT {names} FROM {source} CROSS JOIN ledger
            WHERE ledger.day = batch.day AND ledger.channel_id = batch.channel_id
        """  # noqa: S608 built from our own names only
        for row in connection.execute(sa.text(statement), parameters):
            closed[row.day, row.channel_id] = _closed_day(row)
    return closed


def days_of_channel(
    connection: sa.Connection, *, channel_id: int, first_day: int, end_day: int
) -> list[ClosedDay]:
    """Return the channel's closed days from first_day up to end_day, oldest first."""
    name = connection.dialect.name
    # A list of days, not a range: a range would read every channel of each day.
    days = batch_parameters(name, columns=_DAY, rows=[(day,) for day in range(first_day, end_day)])
    found = connection.execute(_channel_statement(name), days | {"channel_id": channel_id})
    return [_closed_day(row) for row in found]


@lru_cache
def _channel_statement(dialect_name: str) -> sa.TextClause:
    names = ", ".join(f"ledger.{column.name}" for column in _DAY_COLUMNS)
    # CROSS JOIN fixes SQLite's order: the days first, then a look-up by key for each.
    return sa.text(f"""
        SELECT {names} FROM {batch_source(dialect_name, columns=_DAY)} CROSS JOIN ledger
        WHERE ledger.day = batch.day AND ledger.channel_id = :channel_id ORDER BY ledger.day
    """)  # noqa: S608 built from our own names only


def sums_of_channels(
    connection: sa.Connection, channel_ids: Sequence[int], *, first_day: int, end_day: int
) -> dict[tuple[int, int], DaySum]:
    """
    Return the sums of several channels' closed days, by channel and day.

    Days of mixed quality are left out: what they say depends on their intervals.
    """
    name = connection.dialect.name
    days = numbers(connection, range(first_day, end_day))
    if is_distributed(connection):  # each channel's rows are of one shard
        asked = [{"days": days, "channel_id": channel_id} for channel_id in channel_ids]
        found = [
            row
            for one in asked
            for row in connection.execute(_sums_statement(name, of_one=True), one)
        ]
    else:
        both = {"days": days, "ids": numbers(connection, sorted(channel_ids))}
        found = [*connection.execute(_sums_statement(name, of_one=False), both).all()]
    return {
        (row[0], row[1]): DaySum(row[0], row[1], row[2], row[3], _QUALITIES[row[4]])
        for row in found
    }


_QUALITIES = {int(quality): quality for quality in Quality}


@lru_cache
def _sums_statement(dialect_name: str, *, of_one: bool) -> sa.TextClause:
    source, channel = number_source(dialect_name, name="days"), ":channel_id"
    if not of_one:
        source += f" CROSS JOIN {number_source(dialect_name, name='ids')}"
        channel = "ids.value"
    # CROSS JOIN fixes SQLite's order: day by day the channels, each a look-up by key.
    return sa.text(f"""
        SELECT ledger.channel_id, ledger.day, ledger.energy, ledger.missing, ledger.quality
        FROM {source} CROSS JOIN ledger
        WHERE ledger.day = days.value AND ledger.channel_id = {channel}
          AND ledger.quality <> {int(Quality.MIXED)}
    """)  # noqa: S608 built from our own names only


def revisions(connection: sa.Connection, *, channel_id: int, day: int) -> list[LedgerEntry]:
    """Return every revision of one closed day, newest first."""
    current = sa.select(*_DAY_COLUMNS, ledger.c.revision, ledger.c.closed_at).where(
        ledger.c.day == day, ledger.c.channel_id == channel_id
    )
    earlier = sa.select(
        *(ledger_revisions.c[column.name] for column in _DAY_COLUMNS),
        ledger_revisions.c.revision,
        ledger_revisions.c.closed_at,
    ).where(ledger_revisions.c.day == day, ledger_revisions.c.channel_id == channel_id)
    found = connection.execute(current.union_all(earlier).order_by(sa.desc("revision")))
    return [LedgerEntry(_closed_day(row), row.revision, row.closed_at) for row in found]


def decode_intervals(packed: bytes) -> list[int | None]:
    """Return the amounts of a stored day; None is missing."""
    return _decode(packed)


def _changes(was: ClosedDay, day: ClosedDay) -> dict[str, object]:
    return {
        "was_intervals": _encode(was.intervals),
        "was_quality": int(was.quality),
        "was_qualities": was.qualities,
        "at_day": day.day,
        "at_channel": day.channel_id,
        "energy": day.energy,
        "intervals": _encode(day.intervals),
        "missing": day.missing,
        "quality": int(day.quality),
        "qualities": day.qualities,
    }


def _closed_day(row: sa.Row[*tuple[Any, ...]]) -> ClosedDay:
    channel_id, day, energy, intervals, missing, quality, qualities = row[: len(_DAY_COLUMNS)]
    return ClosedDay(
        channel_id,
        day,
        energy,
        _decode(intervals),
        missing,
        Quality(quality),
        None if qualities is None else bytes(qualities),
    )


def _portions(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[i : i + _DAYS_A_STATEMENT] for i in range(0, len(items), _DAYS_A_STATEMENT))
