"""
The ledger: closed days, written once.

A correction writes the next revision and moves the one before to `ledger_revisions`; nothing is
ever deleted. Intervals are packed, a byte a London half hour: `domain.packed_amounts` says how.
Days written before that, and those it would not make shorter, are a MessagePack array.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay, DaySums
from meterbook.domain.day_packing import encode_days
from meterbook.domain.day_tables import DayRow, DayTable, stored_days
from meterbook.domain.packed_amounts import Amounts, decode
from meterbook.domain.reading_columns import distinct
from meterbook.domain.readings import Quality
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.dialects import (
    batch,
    batch_parameters,
    batch_source,
    insert_rows,
    is_distributed,
    joined,
    number_source,
    numbers,
)
from meterbook.storage.driver_rows import driver_rows
from meterbook.storage.tables import ledger, ledger_days, ledger_revisions

Item = TypeVar("Item")
_DAYS_AT_ONCE = 1_000  # as Python's numbers: 3 MB, so that the next ones lie in the same memory
_DAYS_A_STATEMENT = 5_000  # well below SQLite's 32,766 parameters; 13 years of one channel

_SAID_ONCE = 0  # of closed_at: see `ledger_days`
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
    parts: Iterable[Iterable[DayRow]]
    if isinstance(days, DayTable):
        written = set(distinct(days.day).tolist())
        parts = map(DayTable.rows, days.parts(_DAYS_AT_ONCE))
    else:
        written, parts = {day.day for day in days}, [_rows(days)]
    said_once = _days_closed_at(connection, written, closed_at=closed_at)
    for rows in parts:
        stored = [(*row, 1, _SAID_ONCE if row[1] in said_once else closed_at) for row in rows]
        insert_rows(connection, ledger, stored, columns=_WRITTEN)


def _days_closed_at(
    connection: sa.Connection, days: Collection[int], *, closed_at: int
) -> set[int]:
    """Return which of the days were first written at that instant, now included."""
    if connection.dialect.name != "sqlite":
        return set()
    source, parameters = batch(connection, columns=_DAY, rows=[(day,) for day in sorted(days)])
    insert = f"""
        INSERT INTO ledger_days (day, closed_at) SELECT day, :closed_at FROM {source}
        WHERE true ON CONFLICT (day) DO NOTHING
    """  # noqa: S608 built from our own names only
    ask = f"""
        SELECT ledger_days.day FROM {source} CROSS JOIN ledger_days
        WHERE ledger_days.day = batch.day AND ledger_days.closed_at = :closed_at
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(insert), parameters | {"closed_at": closed_at})
    return {*connection.scalars(sa.text(ask), parameters | {"closed_at": closed_at})}


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
        standing = _standing(connection, keys)
        if [standing.get(key, (None,))[0] for key in keys] != [was for was, _ in some]:
            raise ConcurrentRevisionError
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
                ledger.c.revision == sa.bindparam("was_revision"),
            )
            .values(revision=ledger.c.revision + 1, closed_at=revised_at)
        )
        rows = _rows([day for _, day in some])
        asked = [_revised(row, standing[row[1], row[0]][1]) for row in rows]
        done = connection.execute(revise, asked)
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
    return {closed.channel_id: closed for closed in stored_days(found.all())}


def has_days(connection: sa.Connection, *, first_day: int, end_day: int) -> bool:
    """Say whether any channel has a closed day from first_day up to end_day."""
    among = ledger.c.day.between(first_day, end_day - 1)
    return connection.execute(sa.select(ledger.c.day).where(among).limit(1)).first() is not None


def days_by_key(
    connection: sa.Connection, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], ClosedDay]:
    """Return the current revisions of those (day, channel_id) that the ledger has."""
    closed: dict[tuple[int, int], ClosedDay] = {}
    for some in _portions(keys):
        closed |= {key: day for key, (day, _) in _standing(connection, some).items()}
    return closed


def _standing(
    connection: sa.Connection, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[ClosedDay, int]]:
    """Return days with the number of their current revision, by (day, channel_id)."""
    source, parameters = batch(
        connection, columns={"day": "integer", "channel_id": "bigint"}, rows=keys
    )
    names = ", ".join(f"ledger.{column.name}" for column in _DAY_COLUMNS)
    statement = f"""
        SELECT {names}, ledger.revision FROM {source} CROSS JOIN ledger
        WHERE ledger.day = batch.day AND ledger.channel_id = batch.channel_id
    """  # noqa: S608 built from our own names only
    found = connection.execute(sa.text(statement), parameters).all()
    days = zip(stored_days(found), found, strict=True)
    return {(day.day, day.channel_id): (day, row.revision) for day, row in days}


def days_of_channel(
    connection: sa.Connection, *, channel_id: int, first_day: int, end_day: int
) -> list[ClosedDay]:
    """Return the channel's closed days from first_day up to end_day, oldest first."""
    name = connection.dialect.name
    # A list of days, not a range: a range would read every channel of each day.
    days = batch_parameters(name, columns=_DAY, rows=[(day,) for day in range(first_day, end_day)])
    found = connection.execute(_channel_statement(name), days | {"channel_id": channel_id})
    return stored_days(found.all())


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
) -> dict[int, DaySums]:
    """
    Return the sums of several channels' closed days, by channel; only of those that have any.

    Left out are days that their intervals must tell of: those of mixed quality, and those of no
    energy with gaps, of which perhaps nothing is known.
    """
    name = connection.dialect.name
    days = numbers(connection, range(first_day, end_day))
    if is_distributed(connection):  # each channel's rows are of one shard
        statement = _sums_of_one(name)
        asked = [{"days": days, "channel_id": channel_id} for channel_id in channel_ids]
    else:
        statement = _sums_statement(name)
        asked = [{"days": days, "ids": numbers(connection, sorted(channel_ids))}]
    found: dict[int, DaySums] = {}
    for one in asked:
        [(text,)] = driver_rows(connection, statement, one)
        found |= {sums.channel_id: sums for sums in _SUMS.decode(f"[{text or ''}]")}
    return found


_SUMS = msgspec.json.Decoder(list[DaySums])


@lru_cache
def _sums_of_one(dialect_name: str) -> sa.TextClause:
    return sa.text(_sums_of(dialect_name, channel=":channel_id"))


@lru_cache
def _sums_statement(dialect_name: str) -> sa.TextClause:
    of_one = _sums_of(dialect_name, channel="ids.value")
    ids = number_source(dialect_name, name="ids")
    return sa.text(f"SELECT {joined(dialect_name, f'({of_one})')} FROM {ids}")  # noqa: S608 our own names


def _sums_of(dialect_name: str, *, channel: str) -> str:
    """Return the question for a channel's DaySums as JSON; null if there is no day."""
    columns = ("day", "energy", "missing", "quality")
    texts = " || '],[' || ".join(joined(dialect_name, f"ledger.{name}") for name in columns)
    # CROSS JOIN fixes SQLite's order: day by day, each a look-up by key.
    return f"""
        SELECT '[' || CAST({channel} AS text) || ',[' || {texts} || ']]'
        FROM {number_source(dialect_name, name="days")} CROSS JOIN ledger
        WHERE ledger.day = days.value AND ledger.channel_id = {channel}
          AND ledger.quality <> {int(Quality.MIXED)}
          AND NOT (ledger.energy = 0 AND ledger.missing > 0)
    """  # noqa: S608 built from our own names only


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
    found = connection.execute(current.union_all(earlier).order_by(sa.desc("revision"))).all()
    first = sa.select(ledger_days.c.closed_at).where(ledger_days.c.day == day)
    first_at = connection.execute(first).scalar() or 0
    return [
        LedgerEntry(closed, row.revision, row.closed_at or first_at)
        for closed, row in zip(stored_days(found), found, strict=True)
    ]


def decode_intervals(stored: bytes) -> Amounts:
    """
    Return the amounts of a stored day; None is missing.

    :raises UnreadableAmountsError: if they cannot be read.
    """
    return decode(stored)


def _rows(days: Sequence[ClosedDay]) -> list[DayRow]:
    packed = encode_days([day.intervals for day in days])
    return [
        (day.channel_id, day.day, day.energy, intervals, day.missing, day.quality, day.qualities)
        for day, intervals in zip(days, packed, strict=True)
    ]


def _revised(row: DayRow, revision: int) -> dict[str, object]:
    channel_id, day, energy, intervals, missing, quality, qualities = row
    return {
        "at_day": day,
        "at_channel": channel_id,
        "was_revision": revision,
        "energy": energy,
        "intervals": intervals,
        "missing": missing,
        "quality": int(quality),
        "qualities": qualities,
    }


def _portions(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[i : i + _DAYS_A_STATEMENT] for i in range(0, len(items), _DAYS_A_STATEMENT))
