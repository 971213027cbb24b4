"""Modbus registers: where a meter model keeps a measurement, and how its words make a number."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import FunctionCode, NumberType, WordOrder
from meterbook.registry import audit
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.tables import (
    host_measurements,
    hosts,
    measurements,
    meter_models,
    modbus_registers,
)

ADDRESSES = 65_536
NO_SCALE = 1.0
MISSING_MIN, MISSING_MAX = -(2**63), 2**64 - 1  # what the widest number types can hold


class ModbusRegister(msgspec.Struct, frozen=True, omit_defaults=True):
    """One register; what has its usual value is left out."""

    id: int
    address: int
    unit: str
    number_type: NumberType = msgspec.field(name="type")
    """1 INT16, 2 INT32, 3 FLOAT32, 4 UINT16, 5 UINT32, 6 FLOAT64, 7 INT64, 8 UINT64."""
    function_code: FunctionCode
    """3 holding, 4 input."""
    meter: int
    """The meter model's id."""
    measurement: str
    word_order: WordOrder = WordOrder.HIGH_FIRST
    scale: float = NO_SCALE
    """The raw number times this is in `unit`."""
    missing: list[int] = msgspec.field(default_factory=list)
    """Raw numbers that mean "no value"."""
    scale_address: int | None = None
    """Where a power of ten is (int16) that scales the number too."""
    word_addresses: list[int] = msgspec.field(default_factory=list)
    """Of its words, the highest first, if they do not follow one another."""


_COLUMN_OF = {
    "id": modbus_registers.c.id,
    "address": modbus_registers.c.address,
    "unit": modbus_registers.c.unit,
    "type": modbus_registers.c.number_type,
    "function_code": modbus_registers.c.function_code,
    "meter": modbus_registers.c.meter_model_id,
    "measurement": modbus_registers.c.measurement,
    "word_order": modbus_registers.c.word_order,
    "scale": modbus_registers.c.scale,
    "missing": modbus_registers.c.missing,
    "scale_address": modbus_registers.c.scale_address,
    "word_addresses": modbus_registers.c.word_addresses,
}


def registers_of(
    connection: sa.Connection,
    *,
    meter_model_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[ModbusRegister]:
    """Return the model's registers, or all, by id."""
    wanted = sa.select(*_COLUMN_OF.values()).order_by(modbus_registers.c.id)
    if meter_model_id is not None:
        wanted = wanted.where(modbus_registers.c.meter_model_id == meter_model_id)
    return [_register(row) for row in connection.execute(wanted.limit(limit).offset(offset))]


def modbus_register(connection: sa.Connection, *, register_id: int) -> ModbusRegister:
    """
    Return one register.

    :raises NotThereError: if there is none.
    """
    wanted = sa.select(*_COLUMN_OF.values()).where(modbus_registers.c.id == register_id)
    row = connection.execute(wanted).first()
    if row is None:
        raise NotThereError("register")
    return _register(row)


def add_register(
    connection: sa.Connection, *, fields: Mapping[str, Any], by: int | None, now: int
) -> ModbusRegister:
    """
    Make a register and return it.

    :param fields: named as in `ModbusRegister` on the wire, without `id`.
    :raises WrongFieldError: if the model or the measurement does not exist, or a number is out
        of its range.
    :raises sqlalchemy.exc.IntegrityError: if the model has that measurement or address already.
    """
    _check(connection, fields)
    register_id = connection.execute(
        sa.insert(modbus_registers).values(stored(fields)).returning(modbus_registers.c.id)
    ).scalar_one()
    added = modbus_register(connection, register_id=register_id)
    audit.record(
        connection, by=by, action="add", subject=f"registers/{register_id}", after=added, now=now
    )
    return added


def change_register(
    connection: sa.Connection,
    *,
    register_id: int,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> ModbusRegister:
    """
    Change a register and return it.

    :raises NotThereError: if there is none.
    :raises WrongFieldError: as `add_register`.
    :raises InUseError: if hosts are read by it and it is to hold something else.
    :raises sqlalchemy.exc.IntegrityError: as `add_register`.
    """
    before = modbus_register(connection, register_id=register_id)
    whole: dict[str, Any] = {name: _fields(before)[name] for name in _COLUMN_OF} | dict(changes)
    _check(connection, whole)
    if any(whole[name] != _fields(before)[name] for name in ("meter", "measurement", "unit")):
        _require_unread(connection, before, "cannot hold something else")
    if changes:
        connection.execute(
            sa.update(modbus_registers)
            .where(modbus_registers.c.id == register_id)
            .values(stored(changes))
        )
    after = modbus_register(connection, register_id=register_id)
    audit.record_change(
        connection,
        by=by,
        subject=f"registers/{register_id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def remove_register(
    connection: sa.Connection, *, register_id: int, by: int | None, now: int
) -> None:
    """
    Remove a register.

    :raises NotThereError: if there is none.
    :raises InUseError: if hosts are read by it.
    """
    before = modbus_register(connection, register_id=register_id)
    _require_unread(connection, before, "cannot be removed")
    connection.execute(sa.delete(modbus_registers).where(modbus_registers.c.id == register_id))
    audit.record(
        connection,
        by=by,
        action="remove",
        subject=f"registers/{register_id}",
        before=before,
        now=now,
    )


def stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table keeps of fields named as on the wire."""
    values = {_COLUMN_OF[name].name: content for name, content in fields.items()}
    if "scale" in values:
        # The shortest text of the number: 0.1 stays 0.1, as no float would.
        values["scale"] = str(Decimal(repr(float(values["scale"]))))
    if "missing" in values:
        values["missing"] = msgspec.json.encode(values["missing"]).decode()
    if "word_addresses" in values:
        apart = values["word_addresses"]
        values["word_addresses"] = msgspec.json.encode(apart).decode() if apart else None
    return values


def _check(connection: sa.Connection, fields: Mapping[str, Any]) -> None:
    for name, table_column, content in (
        ("meter", meter_models.c.id, fields["meter"]),
        ("measurement", measurements.c.name, fields["measurement"]),
    ):
        if not connection.execute(sa.select(table_column).where(table_column == content)).first():
            raise WrongFieldError(name, f"is no {name} that exists")
    if fields["address"] + NumberType(fields["type"]).words > ADDRESSES:
        raise WrongFieldError("address", "is too high for a number of that type")
    if any(not MISSING_MIN <= raw <= MISSING_MAX for raw in fields.get("missing", ())):
        raise WrongFieldError("missing", "holds a number that no register can hold")
    apart = fields.get("word_addresses") or ()
    if apart and (len(apart) != NumberType(fields["type"]).words or fields["address"] not in apart):
        raise WrongFieldError("word_addresses", "must name each word of the type, address too")


def _require_unread(connection: sa.Connection, register: ModbusRegister, refusal: str) -> None:
    read = (
        sa.select(sa.func.count())
        .select_from(host_measurements.join(hosts, hosts.c.id == host_measurements.c.host_id))
        .where(
            hosts.c.meter_model_id == register.meter,
            host_measurements.c.measurement == register.measurement,
            hosts.c.archived_at.is_(None),
        )
    )
    if count := connection.execute(read).scalar_one():
        raise InUseError(f"register {register.id} {refusal}: {count} hosts are read by it")


def _fields(register: ModbusRegister) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "word_order": WordOrder.HIGH_FIRST.value,
        "scale": 1.0,
        "missing": [],
    }
    defaults |= {"scale_address": None, "word_addresses": []}
    fields: dict[str, Any] = msgspec.to_builtins(register)
    return defaults | fields


def _register(row: Any) -> ModbusRegister:
    return ModbusRegister(
        id=row.id,
        address=row.address,
        unit=row.unit,
        number_type=NumberType(row.number_type),
        function_code=FunctionCode(row.function_code),
        meter=row.meter_model_id,
        measurement=row.measurement,
        word_order=WordOrder(row.word_order),
        # Floats are left out only if they are the very default object.
        scale=NO_SCALE if float(row.scale) == NO_SCALE else float(row.scale),
        missing=msgspec.json.decode(row.missing),
        scale_address=row.scale_address,
        word_addresses=msgspec.json.decode(row.word_addresses or "[]"),
    )
