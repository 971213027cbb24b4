"""
The pool: every sample of every input, kept from the first moment, claimed or not.

One transaction stores many deliveries. What is sent again changes nothing; a different number for
the same instant takes the place of the first, as InfluxDB has it. Samples of claimed inputs mark
their input for `recording` in the same transaction, so that nothing between a sample and its
reading can get lost.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.inputs.deliveries import (
    Announcement,
    Delivery,
    KeyUnknown,
    Outcome,
    PoolFull,
    Taken,
)
from meterbook.registry.device_keys import labels_of_keys
from meterbook.storage.device_tables import (
    device_inputs,
    devices,
    input_samples,
)
from meterbook.storage.dialects import batch, insert_rows, new_ids

INPUTS_OF_DEVICE_MAX = 1_000
_Series = tuple[str, int, str, str]
"""scheme, sent_by, foreign_id, input name."""
_Gathered = list[tuple[Delivery, dict[_Series, dict[int, int]]] | None]
"""Each delivery with its samples by series; None where it is refused."""
_SERIES_COLUMNS = {"scheme": "text", "sent_by": "bigint", "foreign_id": "text", "name": "text"}
_SAMPLE_COLUMNS = {"input_id": "bigint", "at_ms": "bigint", "amount": "bigint"}
_SEEN_COLUMNS = {
    "input_id": "bigint", "from_ms": "bigint", "last_at_ms": "bigint", "last_amount": "bigint",
}  # fmt: skip


class _Input(msgspec.Struct, gc=False):
    """An input as it was before this transaction."""

    id: int
    last_amount: int | None
    announced: Announcement


def store(
    connection: sa.Connection,
    deliveries: Sequence[Delivery],
    *,
    devices_max: int,
    now: int,
) -> list[Outcome]:
    """
    Store the deliveries, each whole or not at all, and return what became of each.

    :param devices_max: how many devices one sender may have.
    """
    hashes = {delivery.key_hash for delivery in deliveries if delivery.key_hash is not None}
    keys = labels_of_keys(connection, hashes) if hashes else {}
    outcomes: list[Outcome] = []
    gathered: _Gathered = []
    for delivery in deliveries:
        if delivery.key_hash is not None and delivery.key_hash not in keys:
            outcomes.append(KeyUnknown())
            gathered.append(None)
            continue
        sent_by, label = keys[delivery.key_hash] if delivery.key_hash is not None else (0, "")
        outcomes.append(Taken(sent_by))
        gathered.append(
            (
                delivery,
                {
                    (
                        delivery.scheme,
                        sent_by,
                        label if delivery.named_by_key else device,
                        name,
                    ): samples
                    for (device, name), samples in delivery.series.items()
                },
            )
        )
    wanted = {series for item in gathered if item for series in item[1]}
    known = _known(connection, wanted)
    if len(known) < len(wanted):
        _refuse_too_many(connection, gathered, outcomes, known, devices_max)
        missing = {series for item in gathered if item for series in item[1]} - known.keys()
        _add(connection, missing, now)
        known |= _known(connection, missing)
    _note_announced(connection, gathered, known)
    _store_samples(connection, gathered, known, now)
    return outcomes


def _known(connection: sa.Connection, wanted: set[_Series]) -> dict[_Series, _Input]:
    source, parameters = batch(connection, columns=_SERIES_COLUMNS, rows=sorted(wanted))
    statement = f"""
        SELECT devices.scheme, devices.sent_by, devices.foreign_id, device_inputs.name,
               device_inputs.id, device_inputs.last_amount, device_inputs.unit,
               device_inputs.suggested, device_inputs.source
        FROM {source} CROSS JOIN devices CROSS JOIN device_inputs
        WHERE devices.scheme = batch.scheme AND devices.sent_by = batch.sent_by
          AND devices.foreign_id = batch.foreign_id
          AND device_inputs.device_id = devices.id AND device_inputs.name = batch.name
    """  # noqa: S608 built from our own names only
    return {
        (row[0], row[1], row[2], row[3]): _Input(row[4], row[5], Announcement(*row[6:9]))
        for row in connection.execute(sa.text(statement), parameters)
    }


def _refuse_too_many(
    connection: sa.Connection,
    gathered: _Gathered,
    outcomes: list[Outcome],
    known: dict[_Series, _Input],
    devices_max: int,
) -> None:
    of_sender: dict[int, set[Any]] = {}
    of_device: dict[Any, set[str]] = {}
    for index, item in enumerate(gathered):
        new = [series for series in item[1] if series not in known] if item else []
        for scheme, sent_by, foreign_id, name in new:
            if sent_by not in of_sender:
                of_sender[sent_by] = _devices_of(connection, sent_by)
            device = (scheme, sent_by, foreign_id)
            if device not in of_device:
                of_device[device] = _inputs_of(connection, device)
            of_sender[sent_by].add(device)
            of_device[device].add(name)
            reason = ""
            if len(of_sender[sent_by]) > devices_max:
                reason = f"at most {devices_max} devices of one sender are kept"
                of_sender[sent_by].discard(device)
            elif len(of_device[device]) > INPUTS_OF_DEVICE_MAX:
                reason = f"at most {INPUTS_OF_DEVICE_MAX} inputs of one device are kept"
                of_device[device].discard(name)
            if reason:
                outcomes[index], gathered[index] = PoolFull(reason), None
                break


def _devices_of(connection: sa.Connection, sent_by: int) -> set[Any]:
    rows = connection.execute(
        sa.select(devices.c.scheme, devices.c.sent_by, devices.c.foreign_id).where(
            devices.c.sent_by == sent_by
        )
    )
    return {tuple(row) for row in rows}


def _inputs_of(connection: sa.Connection, device: Any) -> set[str]:
    scheme, sent_by, foreign_id = device
    return set(
        connection.scalars(
            sa.select(device_inputs.c.name)
            .join(devices, devices.c.id == device_inputs.c.device_id)
            .where(
                devices.c.scheme == scheme,
                devices.c.sent_by == sent_by,
                devices.c.foreign_id == foreign_id,
            )
        )
    )


def _add(connection: sa.Connection, missing: set[_Series], now: int) -> None:
    if not missing:
        return
    wanted = sorted({series[:3] for series in missing})
    ids = _device_ids(connection, wanted)
    new = [device for device in wanted if device not in ids]
    new_rows = zip(new_ids(connection, devices, len(new)), new, strict=True)
    rows = [(device_id, *device, device[1] or None, now) for device_id, device in new_rows]
    columns = ("id", "scheme", "sent_by", "foreign_id", "account_id", "first_seen_at")
    insert_rows(connection, devices, rows, columns=columns)
    ids |= {(row[1], row[2], row[3]): row[0] for row in rows}
    inputs = [
        (input_id, ids[series[:3]], series[3], now, now, False)
        for input_id, series in zip(
            new_ids(connection, device_inputs, len(missing)), sorted(missing), strict=True
        )
    ]
    names = ("id", "device_id", "name", "first_seen_at", "last_seen_at", "resets_to_zero")
    insert_rows(connection, device_inputs, inputs, columns=names)


def _note_announced(
    connection: sa.Connection, gathered: _Gathered, known: dict[_Series, _Input]
) -> None:
    for item in gathered:
        if item is None:
            continue
        delivery, series = item
        for key in series:
            said = delivery.announced.get((key[2], key[3]))
            place = known[key]
            if said is None or said == place.announced:
                continue
            place.announced = said
            connection.execute(
                sa.update(device_inputs)
                .where(device_inputs.c.id == place.id)
                .values(unit=said.unit, suggested=said.suggested, source=said.source)
            )


def _device_ids(connection: sa.Connection, wanted: Sequence[Any]) -> dict[Any, int]:
    columns = dict(list(_SERIES_COLUMNS.items())[:3])
    source, parameters = batch(connection, columns=columns, rows=wanted)
    statement = f"""
        SELECT devices.scheme, devices.sent_by, devices.foreign_id, devices.id
        FROM {source} CROSS JOIN devices
        WHERE devices.scheme = batch.scheme AND devices.sent_by = batch.sent_by
          AND devices.foreign_id = batch.foreign_id
    """  # noqa: S608 built from our own names only
    found = connection.execute(sa.text(statement), parameters)
    return {(row[0], row[1], row[2]): row[3] for row in found}


def _store_samples(
    connection: sa.Connection, gathered: _Gathered, known: dict[_Series, _Input], now: int
) -> None:
    by_input: dict[int, dict[int, int]] = {}
    for item in gathered:
        if item is None:
            continue
        delivery, series = item
        for key, samples in series.items():
            place = known[key]
            kept = samples
            if delivery.is_again:
                kept = {at: amount for at, amount in samples.items() if amount != place.last_amount}
            if kept:
                by_input.setdefault(place.id, {}).update(kept)
                place.last_amount = kept[max(kept)]
    if not by_input:
        return
    rows = [
        (input_id, at_ms, amount)
        for input_id, samples in sorted(by_input.items())
        for at_ms, amount in sorted(samples.items())
    ]
    source, parameters = batch(connection, columns=_SAMPLE_COLUMNS, rows=rows)
    statement = f"""
        INSERT INTO {input_samples.name} (input_id, at_ms, amount)
        SELECT input_id, at_ms, amount FROM {source} WHERE true
        ON CONFLICT (input_id, at_ms) DO UPDATE SET amount = excluded.amount
        WHERE input_samples.amount <> excluded.amount
        RETURNING input_id, at_ms
    """  # noqa: S608 built from our own names only
    new_from: dict[int, int] = {}
    for input_id, at_ms in connection.execute(sa.text(statement), parameters):
        new_from[input_id] = min(at_ms, new_from.get(input_id, at_ms))
    _note_seen(connection, by_input, new_from, now)


def _note_seen(
    connection: sa.Connection,
    by_input: dict[int, dict[int, int]],
    new_from: dict[int, int],
    now: int,
) -> None:
    rows = [
        (input_id, new_from.get(input_id), max(samples), samples[max(samples)])
        for input_id, samples in sorted(by_input.items())
    ]
    source, parameters = batch(connection, columns=_SEEN_COLUMNS, rows=rows)
    is_newer = "coalesce(device_inputs.last_at_ms, 0) <= batch.last_at_ms"
    statement = f"""
        UPDATE device_inputs SET
            last_seen_at = :now,
            last_amount = CASE WHEN {is_newer} THEN batch.last_amount
                          ELSE device_inputs.last_amount END,
            last_at_ms = CASE WHEN {is_newer} THEN batch.last_at_ms
                         ELSE device_inputs.last_at_ms END,
            record_from_ms = CASE
                WHEN device_inputs.channel_id IS NULL THEN NULL
                WHEN batch.from_ms IS NULL THEN device_inputs.record_from_ms
                WHEN coalesce(device_inputs.record_from_ms, batch.from_ms) < batch.from_ms
                    THEN device_inputs.record_from_ms
                ELSE batch.from_ms END
        FROM {source} WHERE device_inputs.id = batch.input_id
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters | {"now": now})
