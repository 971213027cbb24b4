"""What arrives is put into the daybook: new, the same again, or another value."""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

import sqlalchemy as sa

from meterbook.domain.readings import Quality, Reading
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch, batch_parameters, batch_source
from meterbook.storage.tables import superseded_readings

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
    database: Database,
    packets: Sequence[PacketRow],
    *,
    grid_offset_s: int,
    received_at_ms: int,
) -> int:
    """
    Store the packets that need no second look, durably, and return how many: all, nearly always.

    Left out are packets of unknown meters, with another key than the meter's, on another grid,
    and of intervals that have a value: if any is, give them all to `record_readings`.

    :param received_at_ms: of no other call, so that `record_readings` knows what this one stored.
    """
    name = database.dialect_name
    parameters = batch_parameters(name, columns=_PACKET_COLUMNS, rows=packets)
    parameters |= {"received_at_ms": received_at_ms, "grid_offset_s": grid_offset_s}
    return database.run_alone(_new_packets_statement(name), parameters)


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
    _update(connection, {key: row for key, row in changed.items() if key in before}, before)
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
    found = connection.execute(sa.text(statement), parameters)
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
    before: dict[tuple[int, int], tuple[int, int, int]],
) -> None:
    if not rows:
        return
    # Only what is still as it was read: no lock, because Citus locks rows of one shard only.
    statement = sa.text("""
        UPDATE daybook SET amount = :amount, quality = :quality, received_at_ms = :received_at_ms
        WHERE starts_at = :starts_at AND channel_id = :channel_id
          AND amount = :was_amount AND quality = :was_quality AND received_at_ms = :was_received
    """)
    names = ("starts_at", "channel_id", "amount", "quality", "received_at_ms")
    were = ("was_amount", "was_quality", "was_received")
    keyed = [
        dict(zip((*names, *were), (*key, *row, *before[key]), strict=True))
        for key, row in sorted(rows.items())
    ]
    if connection.execute(statement, keyed).rowcount != len(rows):
        raise ConcurrentChangeError


def _batch_of(
    connection: sa.Connection, rows: dict[tuple[int, int], tuple[int, int, int]]
) -> tuple[str, dict[str, object]]:
    items = [(*key, amount, quality) for key, (amount, quality, _) in sorted(rows.items())]
    return batch(connection, columns=_READING_COLUMNS, rows=items)
