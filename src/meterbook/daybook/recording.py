"""What arrives is put into the daybook: new, the same again, or another value."""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

import sqlalchemy as sa

from meterbook.domain.readings import Quality, Reading, overrules
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch, batch_parameters, batch_source
from meterbook.storage.tables import superseded_readings

PacketRow = tuple[int, int, int, str | None]
"""meter_id, starts_at, energy_wh, SHA-256 of the key it came with."""

SupersededReading = tuple[int, int, int, int]
"""channel_id, starts_at, amount, quality."""

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
    OVERRULED = "overruled"
    """An edit stands; the reading is kept beside it."""


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
    # CROSS JOIN fixes SQLite's order: batch first, then look-ups by key for each packet.
    return sa.text(f"""
        INSERT INTO daybook (starts_at, channel_id, amount, quality, received_at_ms)
        SELECT batch.starts_at, installations.channel_id, batch.energy_wh, {int(Quality.RAW)},
               CAST(:received_at_ms AS bigint)
        FROM {batch_source(dialect_name, columns=_PACKET_COLUMNS)}
        CROSS JOIN installations
        WHERE installations.meter_id = batch.meter_id
          AND batch.key_hash IS NOT DISTINCT FROM (
              SELECT meter_keys.key_hash FROM meter_keys
              WHERE meter_keys.meter_id = batch.meter_id)
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
    overruled: list[SupersededReading] = []
    for reading in readings:
        key = (reading.starts_at, reading.channel_id)
        new = (reading.amount, int(reading.quality), received_at_ms)
        old = stored.get(key)
        if old is None:
            outcomes.append(Recorded.NEW)
        elif old[:2] == new[:2]:
            outcomes.append(Recorded.REPEATED)
            continue
        elif overrules(Quality(old[1]), reading.quality):
            outcomes.append(Recorded.OVERRULED)
            overruled.append((reading.channel_id, reading.starts_at, *new[:2]))
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
    keep_overruled(connection, overruled, received_at_ms=received_at_ms)
    return outcomes


def put_in_place(
    connection: sa.Connection, place: Reading, *, is_known: bool, received_at_ms: int
) -> None:
    """
    Let the reading count in its interval whatever counts there, which is kept.

    :param is_known: False: its interval shall have no reading.
    :raises ConcurrentChangeError: if another process recorded the interval in between.
    """
    before = _stored(connection, [place])
    keep_superseded(
        connection,
        [(place.channel_id, key[0], *row, received_at_ms // 1000) for key, row in before.items()],
    )
    key = (place.starts_at, place.channel_id)
    shall = {key: (place.amount, int(place.quality), received_at_ms)} if is_known else {}
    if not before:
        _insert(connection, shall, received_at_ms)
    elif is_known:
        _update(connection, shall, before)
    else:
        _delete(connection, key, before[key])


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


def keep_superseded_once(
    connection: sa.Connection, rows: Sequence[SupersededReading], *, received_at_ms: int
) -> None:
    """Keep readings that do not count; of one that is kept already no second copy."""
    if not rows:
        return
    columns = dict.fromkeys(("channel_id", "starts_at", "amount", "quality"), "bigint")
    known = {(*key, *kept) for key, kept in _kept(connection, columns, rows)}
    unknown = [row for row in dict.fromkeys(rows) if row not in known]
    now = received_at_ms // 1000
    keep_superseded(connection, [(*row, received_at_ms, now) for row in unknown])


def keep_overruled(
    connection: sa.Connection, rows: Sequence[SupersededReading], *, received_at_ms: int
) -> None:
    """Keep readings that arrived after an edit; what arrived there last, again, changes nothing."""
    last = last_arrived(connection, [row[:2] for row in rows])
    kept = []
    for row in rows:
        if last.get(row[:2]) != row[2:]:
            kept.append((*row, received_at_ms, received_at_ms // 1000))
        last[row[:2]] = row[2:]
    keep_superseded(connection, kept)


def last_arrived(
    connection: sa.Connection, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """
    Return what arrived last in each interval and does not count; edits have not arrived.

    :param keys: (channel_id, starts_at) each.
    :returns: amount and quality by key; of an interval where nothing is kept, nothing.
    """
    if not keys:
        return {}
    columns = {"channel_id": "bigint", "starts_at": "bigint"}
    kept = _kept(connection, columns, sorted({*keys}))
    return {key: last for key, last in kept if last[1] != Quality.EDITED}


def _kept(
    connection: sa.Connection, columns: dict[str, str], rows: Sequence[tuple[int, ...]]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    source, parameters = batch(connection, columns=columns, rows=rows)
    same = " AND ".join(f"kept.{name} = batch.{name}" for name in columns)
    statement = f"""
        SELECT kept.channel_id, kept.starts_at, kept.amount, kept.quality
        FROM {source} CROSS JOIN superseded_readings AS kept WHERE {same} ORDER BY kept.id
    """  # noqa: S608 built from our own names only
    found = connection.execute(sa.text(statement), parameters)
    return [((row[0], row[1]), (row[2], row[3])) for row in found]


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


def _delete(connection: sa.Connection, key: tuple[int, int], before: tuple[int, int, int]) -> None:
    statement = sa.text("""
        DELETE FROM daybook WHERE starts_at = :starts_at AND channel_id = :channel_id
          AND amount = :was_amount AND quality = :was_quality AND received_at_ms = :was_received
    """)
    names = ("starts_at", "channel_id", "was_amount", "was_quality", "was_received")
    asked = dict(zip(names, (*key, *before), strict=True))
    if connection.execute(statement, asked).rowcount != 1:
        raise ConcurrentChangeError


def _batch_of(
    connection: sa.Connection, rows: dict[tuple[int, int], tuple[int, int, int]]
) -> tuple[str, dict[str, object]]:
    items = [(*key, amount, quality) for key, (amount, quality, _) in sorted(rows.items())]
    return batch(connection, columns=_READING_COLUMNS, rows=items)
