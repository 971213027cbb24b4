"""
The daybook: what arrived, as it arrives, of every interval that is not in the ledger yet.

One row per channel and interval. The same value again changes nothing; a different one counts
from then on and the old one moves to `superseded_readings`. Readings of closed days wait here
too, until `day_close` takes them into the next revision; a question sees them at once, because
it reads the ledger with the daybook laid over it.
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from meterbook.domain.readings import Quality, Reading
from meterbook.storage.dialects import batch, batch_parameters, batch_source, row_lock
from meterbook.storage.tables import daybook, superseded_readings

IntColumn = npt.NDArray[np.int64]
PacketRow = tuple[int, int, int, str | None]
"""meter_id, starts_at, energy_wh, SHA-256 of the key it came with."""

_PACKET_COLUMNS = {
    "meter_id": "bigint", "starts_at": "bigint", "energy_wh": "bigint", "key_hash": "text",
}  # fmt: skip
_READING_COLUMNS = {
    "starts_at": "bigint", "channel_id": "bigint", "amount": "bigint", "quality": "bigint",
}  # fmt: skip


class Recorded(Enum):
    """What recording a reading did."""

    NEW = "new"
    REPEATED = "repeated"
    REPLACED = "replaced"


class ConcurrentChangeError(RuntimeError):
    """Another process recorded the same interval in between; roll back and do it again."""


def record_new_packets(
    connection: sa.Connection,
    packets: Sequence[PacketRow],
    *,
    grid_offset_s: int,
    received_at_ms: int,
) -> int:
    """
    Store the packets that need no second look and return how many: all, nearly always.

    Left out are packets of unknown meters, with another key than the meter's, on another grid,
    and of intervals that have a value: if any is, give them all to `record_readings`.

    :param received_at_ms: of no other call, so that `record_readings` knows what this one stored.
    """
    name = connection.dialect.name
    parameters = batch_parameters(name, columns=_PACKET_COLUMNS, rows=packets)
    parameters |= {"received_at_ms": received_at_ms, "grid_offset_s": grid_offset_s}
    return connection.execute(_new_packets_statement(name), parameters).rowcount


@lru_cache
def _new_packets_statement(dialect_name: str) -> sa.TextClause:
    # CROSS JOIN fixes SQLite's order: batch first, then two look-ups by key for each packet.
    return sa.text(f"""
        INSERT INTO daybook (starts_at, channel_id, amount, quality, received_at_ms)
        SELECT batch.starts_at, installations.channel_id, batch.energy_wh, {int(Quality.RAW)},
               CAST(:received_at_ms AS bigint)
        FROM {batch_source(dialect_name, columns=_PACKET_COLUMNS)}
        CROSS JOIN meters CROSS JOIN installations
        WHERE meters.meter_id = batch.meter_id
          AND meters.key_hash IS NOT DISTINCT FROM batch.key_hash
          AND installations.meter_id = batch.meter_id
          AND installations.installed_at <= batch.starts_at
          AND installations.removed_at > batch.starts_at
          AND installations.grid_offset_s = :grid_offset_s
        ORDER BY batch.starts_at, installations.channel_id
        ON CONFLICT DO NOTHING
    """)  # noqa: S608 built from our own names only


def record_readings(
    connection: sa.Connection, readings: Sequence[Reading], *, received_at_ms: int
) -> list[Recorded]:
    """
    Record the readings in their order and say what each did.

    :param received_at_ms: a row of these that has it already counts as stored by this very call.
    :raises ConcurrentChangeError: if another process recorded one of them in between.
    """
    before = _stored(connection, readings)
    # In the same millisecond another process may have stored another value: that one is not ours.
    ours = {(r.starts_at, r.channel_id, r.amount, int(r.quality), received_at_ms) for r in readings}
    stored = {key: row for key, row in before.items() if (*key, *row) not in ours}
    outcomes: list[Recorded] = []
    superseded: list[tuple[int, ...]] = []
    for reading in readings:
        key = (reading.starts_at, reading.channel_id)
        new = (reading.amount, int(reading.quality), received_at_ms)
        old = stored.get(key)
        if old is None:
            outcomes.append(Recorded.NEW)
        elif old[:2] == new[:2]:
            outcomes.append(Recorded.REPEATED)
            continue
        else:
            outcomes.append(Recorded.REPLACED)
            superseded.append((reading.channel_id, reading.starts_at, *old, received_at_ms // 1000))
        stored[key] = new
    changed = {key: row for key, row in stored.items() if before.get(key) != row}
    _insert(
        connection, {key: row for key, row in changed.items() if key not in before}, received_at_ms
    )
    _update(connection, {key: row for key, row in changed.items() if key in before}, received_at_ms)
    keep_superseded(connection, superseded)
    return outcomes


def record_running(
    connection: sa.Connection, readings: Sequence[Reading], *, received_at_ms: int
) -> None:
    """
    Put in the readings, each in the place of what its interval had so far.

    For what is polled: until its minute is over a mean is not different, but unfinished.

    :param readings: at most one for each channel and interval.
    """
    if not readings:
        return
    rows = sorted((r.starts_at, r.channel_id, r.amount, int(r.quality)) for r in readings)
    source, parameters = batch(connection, columns=_READING_COLUMNS, rows=rows)
    statement = f"""
        INSERT INTO daybook (starts_at, channel_id, amount, quality, received_at_ms)
        SELECT starts_at, channel_id, amount, quality, CAST(:received_at_ms AS bigint)
        FROM {source} WHERE true ORDER BY starts_at, channel_id
        ON CONFLICT (starts_at, channel_id) DO UPDATE
        SET amount = excluded.amount, quality = excluded.quality,
            received_at_ms = excluded.received_at_ms
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters | {"received_at_ms": received_at_ms})


def keep_superseded(connection: sa.Connection, rows: Sequence[tuple[int, ...]]) -> None:
    """
    Keep readings that another one took the place of.

    :param rows: (channel_id, starts_at, amount, quality, received_at_ms, superseded_at) each.
    """
    if rows:
        names = [column.name for column in superseded_readings.columns][1:]
        connection.execute(
            sa.insert(superseded_readings), [dict(zip(names, row, strict=True)) for row in rows]
        )


def superseded_among(
    connection: sa.Connection, rows: Sequence[tuple[int, int, int, int]]
) -> set[tuple[int, int, int, int]]:
    """Return which (channel_id, starts_at, amount, quality) are kept as superseded already."""
    if not rows:
        return set()
    columns = dict.fromkeys(("channel_id", "starts_at", "amount", "quality"), "bigint")
    source, parameters = batch(connection, columns=columns, rows=rows)
    same = " AND ".join(f"kept.{name} = batch.{name}" for name in columns)
    statement = f"""
        SELECT kept.channel_id, kept.starts_at, kept.amount, kept.quality
        FROM {source} CROSS JOIN superseded_readings AS kept WHERE {same}
    """  # noqa: S608 built from our own names only
    found = connection.execute(sa.text(statement), parameters)
    return {(row[0], row[1], row[2], row[3]) for row in found}


def _stored(
    connection: sa.Connection, readings: Sequence[Reading]
) -> dict[tuple[int, int], tuple[int, int, int]]:
    keys = sorted({(reading.starts_at, reading.channel_id) for reading in readings})
    columns = {"starts_at": "bigint", "channel_id": "bigint"}
    source, parameters = batch(connection, columns=columns, rows=keys)
    statement = f"""
        SELECT daybook.starts_at, daybook.channel_id, daybook.amount, daybook.quality,
               daybook.received_at_ms
        FROM {source} CROSS JOIN daybook
        WHERE daybook.starts_at = batch.starts_at AND daybook.channel_id = batch.channel_id
        ORDER BY daybook.starts_at, daybook.channel_id
    """  # noqa: S608 built from our own names only
    lock = row_lock(connection)
    found = connection.execute(sa.text(f"{statement} {lock and lock + ' OF daybook'}"), parameters)
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in found}


def _insert(
    connection: sa.Connection,
    rows: dict[tuple[int, int], tuple[int, int, int]],
    received_at_ms: int,
) -> None:
    if not rows:
        return
    source, parameters = _batch_of(connection, rows)
    statement = f"""
        INSERT INTO daybook (starts_at, channel_id, amount, quality, received_at_ms)
        SELECT starts_at, channel_id, amount, quality, CAST(:received_at_ms AS bigint)
        FROM {source} WHERE true ORDER BY starts_at, channel_id
        ON CONFLICT DO NOTHING
    """  # noqa: S608 built from our own names only
    done = connection.execute(sa.text(statement), parameters | {"received_at_ms": received_at_ms})
    if done.rowcount != len(rows):
        raise ConcurrentChangeError


def _update(
    connection: sa.Connection,
    rows: dict[tuple[int, int], tuple[int, int, int]],
    received_at_ms: int,
) -> None:
    if not rows:
        return
    source, parameters = _batch_of(connection, rows)
    statement = f"""
        UPDATE daybook SET amount = batch.amount, quality = batch.quality,
                           received_at_ms = CAST(:received_at_ms AS bigint)
        FROM {source}
        WHERE daybook.starts_at = batch.starts_at AND daybook.channel_id = batch.channel_id
    """  # noqa: S608 built from our own names only
    done = connection.execute(sa.text(statement), parameters | {"received_at_ms": received_at_ms})
    if done.rowcount != len(rows):
        raise ConcurrentChangeError


def _batch_of(
    connection: sa.Connection, rows: dict[tuple[int, int], tuple[int, int, int]]
) -> tuple[str, dict[str, object]]:
    items = [(*key, amount, quality) for key, (amount, quality, _) in sorted(rows.items())]
    return batch(connection, columns=_READING_COLUMNS, rows=items)


def open_interval_starts(
    connection: sa.Connection, *, starts_at: int, ends_at: int, step_s: int = 1
) -> list[int]:
    """
    Return the interval starts in the range that have any row, rising.

    Jumps from one to the next by the primary key: the cost grows with them, not with the rows.

    :param step_s: the grid, from starts_at on, outside which starts are of no interest.
    """
    statement = sa.text(f"{_SLOTS} SELECT starts_at FROM slots WHERE starts_at IS NOT NULL")  # noqa: S608 our own text
    asked = {"starts_at": starts_at, "ends_at": ends_at, "step_s": step_s}
    found = connection.execute(statement, asked).scalars()
    return [start for start in found if (start - starts_at) % step_s == 0]


_SLOTS = """
    WITH RECURSIVE slots(starts_at) AS (
        SELECT min(starts_at) FROM daybook WHERE starts_at >= :starts_at AND starts_at < :ends_at
        UNION ALL
        SELECT (SELECT min(daybook.starts_at) FROM daybook
                WHERE daybook.starts_at < :ends_at AND daybook.starts_at >=
                      slots.starts_at + :step_s - (slots.starts_at - :starts_at) % :step_s)
        FROM slots WHERE slots.starts_at IS NOT NULL)
"""


# CROSS JOIN fixes SQLite's order: the slots first, then a look-up by key in each.
_OPEN_READINGS = sa.text(f"""
    {_SLOTS} SELECT daybook.starts_at, daybook.amount, daybook.quality
    FROM slots CROSS JOIN daybook
    WHERE daybook.starts_at = slots.starts_at AND daybook.channel_id = :channel_id
    ORDER BY daybook.starts_at
""")  # noqa: S608 built from our own names only


def open_readings(
    connection: sa.Connection, *, channel_id: int, starts_at: int, ends_at: int, step_s: int = 1
) -> list[Reading]:
    """
    Return the channel's readings in the half-open range that the ledger does not have yet.

    :param step_s: a divisor of the channel's interval, so that others' starts cost nothing.
    """
    asked = {"starts_at": starts_at, "ends_at": ends_at, "step_s": step_s}
    found = connection.execute(_OPEN_READINGS, asked | {"channel_id": channel_id})
    return [Reading(channel_id, row[0], row[1], Quality(row[2])) for row in found]


def read_interval(
    connection: sa.Connection,
    *,
    starts_at: int,
    first_channel_id: int,
    last_channel_id: int,
    among: sa.Select[tuple[int]] | None = None,
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """
    Return one interval's rows of a range of channels.

    :param among: selects the channel ids wanted, where not all in the range are.
    :returns: channel_id, amount, quality; each of shape (n,), channels rising.
    """
    wanted = _interval_rows(starts_at, first_channel_id, last_channel_id, among)
    rows = sa.select(daybook).where(wanted).order_by(daybook.c.channel_id).subquery()
    # Three texts instead of n rows: both engines join digits faster than Python makes tuples.
    texts = connection.execute(
        sa.select(
            *(
                sa.func.aggregate_strings(sa.cast(rows.c[name], sa.Text), ",")
                for name in ("channel_id", "amount", "quality")
            )
        )
    ).one()
    return _integers(texts[0]), _integers(texts[1]), _integers(texts[2])


def take_interval(
    connection: sa.Connection,
    *,
    starts_at: int,
    first_channel_id: int,
    last_channel_id: int,
    among: sa.Select[tuple[int]] | None = None,
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """
    Remove what `read_interval` returns from the daybook, and return it.

    The caller's transaction must be serial to other writers (`Database.writing(serial=True)`), and
    must put the readings into the ledger before it commits.
    """
    taken = read_interval(
        connection,
        starts_at=starts_at,
        first_channel_id=first_channel_id,
        last_channel_id=last_channel_id,
        among=among,
    )
    wanted = _interval_rows(starts_at, first_channel_id, last_channel_id, among)
    connection.execute(sa.delete(daybook).where(wanted))
    return taken


def _interval_rows(
    starts_at: int,
    first_channel_id: int,
    last_channel_id: int,
    among: sa.Select[tuple[int]] | None,
) -> sa.ColumnElement[bool]:
    return sa.and_(
        daybook.c.starts_at == starts_at,
        daybook.c.channel_id.between(first_channel_id, last_channel_id),
        sa.true() if among is None else daybook.c.channel_id.in_(among),
    )


def _integers(joined: str | None) -> IntColumn:
    return np.fromstring(joined or "", dtype=np.int64, sep=",")
