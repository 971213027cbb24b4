"""Meter models: makes of meter, such as sdm630 (the API calls them meters)."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import BusLimits, Direction, MeasurementKind
from meterbook.registry import audit
from meterbook.registry.measurements import Measurement
from meterbook.registry.refusals import InUseError, NotThereError
from meterbook.storage.tables import hosts, measurements, meter_models, modbus_registers


class MeterModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One make of meter; limits that are the usual ones are left out."""

    id: int
    name: str
    direction: Direction = msgspec.field(name="type")
    """1 single-directional, 2 bi-directional."""
    connect_delay_ms: int | None = None
    timeout_ms: int | None = None
    gap_ms: int | None = None
    block_words_max: int | None = None
    hole_words_max: int | None = None


_COLUMN_OF = {
    "id": meter_models.c.id,
    "name": meter_models.c.name,
    "type": meter_models.c.direction,
    **{name: meter_models.c[name] for name in BusLimits.__struct_fields__},
}


def all_meter_models(
    connection: sa.Connection, *, limit: int | None = None, offset: int = 0
) -> list[MeterModel]:
    """Return the models by id."""
    wanted = sa.select(*_COLUMN_OF.values()).order_by(meter_models.c.id)
    return [_model(row) for row in connection.execute(wanted.limit(limit).offset(offset))]


def meter_model(connection: sa.Connection, *, meter_model_id: int) -> MeterModel:
    """
    Return one model.

    :raises NotThereError: if there is none.
    """
    wanted = sa.select(*_COLUMN_OF.values()).where(meter_models.c.id == meter_model_id)
    row = connection.execute(wanted).first()
    if row is None:
        raise NotThereError("meter")
    return _model(row)


def measurements_of_model(
    connection: sa.Connection,
    *,
    meter_model_id: int,
    limit: int | None = None,
    offset: int = 0,
) -> list[Measurement]:
    """
    Return what the model has registers for.

    :raises NotThereError: if there is no such model.
    """
    meter_model(connection, meter_model_id=meter_model_id)
    wanted = (
        sa.select(measurements.c.name, measurements.c.kind)
        .join(modbus_registers, modbus_registers.c.measurement == measurements.c.name)
        .where(modbus_registers.c.meter_model_id == meter_model_id)
        .order_by(modbus_registers.c.id)
    )
    return [
        Measurement(row.name, MeasurementKind(row.kind))
        for row in connection.execute(wanted.limit(limit).offset(offset))
    ]


def add_meter_model(
    connection: sa.Connection, *, fields: Mapping[str, Any], by: int | None, now: int
) -> MeterModel:
    """
    Make a model and return it.

    :param fields: named as in `MeterModel` on the wire, without `id`.
    :raises sqlalchemy.exc.IntegrityError: if there is one of that name.
    """
    model_id = connection.execute(
        sa.insert(meter_models)
        .values({_COLUMN_OF[name]: fields[name] for name in fields})
        .returning(meter_models.c.id)
    ).scalar_one()
    added = meter_model(connection, meter_model_id=model_id)
    audit.record(
        connection, by=by, action="add", subject=f"meters/{model_id}", after=added, now=now
    )
    return added


def change_meter_model(
    connection: sa.Connection,
    *,
    meter_model_id: int,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> MeterModel:
    """
    Change a model and return it.

    :raises NotThereError: if there is none.
    :raises sqlalchemy.exc.IntegrityError: if another one has the name.
    """
    before = meter_model(connection, meter_model_id=meter_model_id)
    if changes:
        connection.execute(
            sa.update(meter_models)
            .where(meter_models.c.id == meter_model_id)
            .values({_COLUMN_OF[name]: changes[name] for name in changes})
        )
    after = meter_model(connection, meter_model_id=meter_model_id)
    audit.record_change(
        connection,
        by=by,
        subject=f"meters/{meter_model_id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def remove_meter_model(
    connection: sa.Connection, *, meter_model_id: int, by: int | None, now: int
) -> None:
    """
    Remove a model and its registers.

    :raises NotThereError: if there is none.
    :raises InUseError: if a host is of it, or was.
    """
    before = meter_model(connection, meter_model_id=meter_model_id)
    used = sa.select(hosts.c.id).where(hosts.c.meter_model_id == meter_model_id).limit(1)
    if connection.execute(used).first():
        raise InUseError(f"meter {meter_model_id} cannot be removed: there are or were hosts of it")
    connection.execute(
        sa.delete(modbus_registers).where(modbus_registers.c.meter_model_id == meter_model_id)
    )
    connection.execute(sa.delete(meter_models).where(meter_models.c.id == meter_model_id))
    audit.record(
        connection,
        by=by,
        action="remove",
        subject=f"meters/{meter_model_id}",
        before=before,
        now=now,
    )


def _model(row: Any) -> MeterModel:
    limits = {name: row._mapping[name] for name in BusLimits.__struct_fields__}  # noqa: SLF001 public
    return MeterModel(row.id, row.name, Direction(row.direction), **limits)
