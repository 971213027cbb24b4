"""Measurements: the quantities that registers hold, known by name, such as active_power."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.registry import audit
from meterbook.registry.refusals import InUseError, NotThereError
from meterbook.storage.tables import channels, host_measurements, measurements, modbus_registers


class Measurement(msgspec.Struct, frozen=True):
    """One measured quantity."""

    measurement: str
    """Its name."""
    kind: MeasurementKind = msgspec.field(name="type")
    """1 current (of this moment), 2 historical (a counter)."""


_COLUMN_OF = {"measurement": measurements.c.name, "type": measurements.c.kind}


def all_measurements(
    connection: sa.Connection, *, limit: int | None = None, offset: int = 0
) -> list[Measurement]:
    """Return the measurements by name."""
    wanted = sa.select(measurements).order_by(measurements.c.name).limit(limit).offset(offset)
    return [_measurement(row) for row in connection.execute(wanted)]


def measurement_named(connection: sa.Connection, *, name: str) -> Measurement:
    """
    Return one measurement.

    :raises NotThereError: if there is none of that name.
    """
    row = connection.execute(sa.select(measurements).where(measurements.c.name == name)).first()
    if row is None:
        raise NotThereError("measurement")
    return _measurement(row)


def add_measurement(
    connection: sa.Connection, *, fields: Mapping[str, Any], by: int | None, now: int
) -> Measurement:
    """
    Make a measurement and return it.

    :param fields: `measurement`, `type`.
    :raises sqlalchemy.exc.IntegrityError: if there is one of that name.
    """
    connection.execute(
        sa.insert(measurements).values({_COLUMN_OF[name]: fields[name] for name in fields})
    )
    added = measurement_named(connection, name=fields["measurement"])
    subject = f"measurements/{added.measurement}"
    audit.record(connection, by=by, action="add", subject=subject, after=added, now=now)
    return added


def change_measurement(
    connection: sa.Connection,
    *,
    name: str,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> Measurement:
    """
    Change whether a measurement is a counter's, and return it.

    :param changes: `type`; the name stays, history goes by it.
    :raises NotThereError: if there is none of that name.
    :raises InUseError: if there is history of it.
    """
    before = measurement_named(connection, name=name)
    kind = MeasurementKind(changes.get("type", before.kind))
    if kind is before.kind:
        return before
    if _has_history(connection, name):
        raise InUseError(f"{name} cannot change: there is history of it")
    connection.execute(sa.update(measurements).where(measurements.c.name == name).values(kind=kind))
    after = measurement_named(connection, name=name)
    audit.record(
        connection,
        by=by,
        action="change",
        subject=f"measurements/{name}",
        before=before,
        after=after,
        now=now,
    )
    return after


def remove_measurement(connection: sa.Connection, *, name: str, by: int | None, now: int) -> None:
    """
    Remove a measurement.

    :raises NotThereError: if there is none of that name.
    :raises InUseError: if a register holds it, or there is history of it.
    """
    before = measurement_named(connection, name=name)
    held = sa.select(modbus_registers.c.id).where(modbus_registers.c.measurement == name).limit(1)
    if connection.execute(held).first():
        raise InUseError(f"{name} cannot be removed: registers hold it")
    if _has_history(connection, name):
        raise InUseError(f"{name} cannot be removed: there is history of it")
    connection.execute(sa.delete(measurements).where(measurements.c.name == name))
    audit.record(
        connection, by=by, action="remove", subject=f"measurements/{name}", before=before, now=now
    )


def _has_history(connection: sa.Connection, name: str) -> bool:
    kept = sa.select(channels.c.id).where(channels.c.measurement == name)
    assigned = sa.select(host_measurements.c.id).where(host_measurements.c.measurement == name)
    return any(connection.execute(rows.limit(1)).first() for rows in (kept, assigned))


def _measurement(row: Any) -> Measurement:
    return Measurement(row.name, MeasurementKind(row.kind))
