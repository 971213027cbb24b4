"""
What is read from a host: its assigned measurements.

    host ── measurement ──► channel of its samples, by the minute
                            └─► of a counter: channel of its energy, by five minutes

The first assignment makes the host's meter point, whose channels they are. Taking a measurement
away leaves its channels: what was read stays, and assigning it again goes on where it stopped.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from meterbook.domain.counters import COUNTED_INTERVAL_S
from meterbook.domain.minutes import MINUTE_S
from meterbook.domain.modbus_numbers import MeasurementKind, channel_unit, measured_flow
from meterbook.domain.readings import Counting
from meterbook.registry import audit
from meterbook.registry.hosts import Host, hold_host, host
from meterbook.registry.refusals import WrongFieldError
from meterbook.storage.tables import (
    channels,
    host_measurements,
    hosts,
    measurements,
    meter_points,
    modbus_registers,
)


class HostMeasurement(msgspec.Struct, frozen=True):
    """One measurement assigned to a host."""

    id: int
    host: int
    measurement: str


def measurements_of_host(
    connection: sa.Connection,
    *,
    host_id: int,
    account_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[HostMeasurement]:
    """
    Return what is assigned to the host, by id.

    :param account_id: whose the host must be; None: anybody's.
    :raises NotThereError: if there is no such host.
    """
    host(connection, host_id=host_id, account_id=account_id)
    return _assigned(connection, host_id)[offset:][:limit]


def assign_measurements(
    connection: sa.Connection,
    *,
    host_id: int,
    account_id: int | None = None,
    names: Sequence[str],
    zone: str,
    by: int | None,
    now: int,
) -> list[HostMeasurement]:
    """
    Assign the measurements, all or none, and return them; repeats are harmless.

    :param account_id: whose the host must be; None: anybody's.
    :param zone: the IANA zone of the meter point, if this makes it.
    :raises NotThereError: if there is no such host.
    :raises WrongFieldError: naming those the host's model has no register for.
    """
    wanted = list(dict.fromkeys(names))
    meter_point_id = hold_host(connection, host_id=host_id)
    target = host(connection, host_id=host_id, account_id=account_id)
    _require_registers(connection, target, wanted)
    before = [row.measurement for row in _assigned(connection, host_id)]
    added = [name for name in wanted if name not in before]
    if added:
        point_id = meter_point_id or _add_meter_point(connection, target, zone=zone, now=now)
        connection.execute(
            sa.insert(host_measurements),
            [
                {
                    "host_id": host_id,
                    "measurement": name,
                    "channel_id": _channel_id(connection, target, point_id, name),
                }
                for name in added
            ],
        )
        audit.record(
            connection,
            by=by,
            action="assign",
            subject=f"hosts/{host_id}/measurements",
            before={"measurements": before},
            after={"measurements": before + added},
            now=now,
        )
    return [row for row in _assigned(connection, host_id) if row.measurement in wanted]


def unassign_measurements(
    connection: sa.Connection,
    *,
    host_id: int,
    account_id: int | None = None,
    names: Sequence[str],
    by: int | None,
    now: int,
) -> None:
    """
    Stop reading the measurements; what was read stays. Those not assigned are passed over.

    :param account_id: whose the host must be; None: anybody's.
    :raises NotThereError: if there is no such host.
    """
    hold_host(connection, host_id=host_id)
    host(connection, host_id=host_id, account_id=account_id)
    before = [row.measurement for row in _assigned(connection, host_id)]
    left = [name for name in before if name not in names]
    if left == before:
        return
    connection.execute(
        sa.delete(host_measurements).where(
            host_measurements.c.host_id == host_id, host_measurements.c.measurement.in_(names)
        )
    )
    audit.record(
        connection,
        by=by,
        action="unassign",
        subject=f"hosts/{host_id}/measurements",
        before={"measurements": before},
        after={"measurements": left},
        now=now,
    )


def _assigned(connection: sa.Connection, host_id: int) -> list[HostMeasurement]:
    rows = connection.execute(
        sa.select(
            host_measurements.c.id, host_measurements.c.host_id, host_measurements.c.measurement
        )
        .where(host_measurements.c.host_id == host_id)
        .order_by(host_measurements.c.id)
    )
    return [HostMeasurement(*row) for row in rows]


def _require_registers(connection: sa.Connection, target: Host, names: Sequence[str]) -> None:
    held = set(
        connection.scalars(
            sa.select(modbus_registers.c.measurement).where(
                modbus_registers.c.meter_model_id == target.meter,
                modbus_registers.c.measurement.in_(names),
            )
        )
    )
    if lacking := [name for name in names if name not in held]:
        reason = f"has no register in meter {target.meter} for {', '.join(lacking)}"
        raise WrongFieldError("measurements", reason)


def _add_meter_point(connection: sa.Connection, target: Host, *, zone: str, now: int) -> int:
    point_id: int = connection.execute(
        sa.insert(meter_points)
        .values(
            account_id=target.user,
            name=target.description or None,
            zone=zone,
            created_at=now,
            claimed_at=now,
        )
        .returning(meter_points.c.id)
    ).scalar_one()
    connection.execute(
        sa.update(hosts).where(hosts.c.id == target.id).values(meter_point_id=point_id)
    )
    return point_id


def _channel_id(connection: sa.Connection, target: Host, point_id: int, name: str) -> int:
    row = connection.execute(
        sa.select(measurements.c.kind, modbus_registers.c.unit)
        .join(modbus_registers, modbus_registers.c.measurement == measurements.c.name)
        .where(measurements.c.name == name, modbus_registers.c.meter_model_id == target.meter)
    ).one()
    kind, unit = MeasurementKind(row.kind), channel_unit(row.unit)
    if kind is MeasurementKind.HISTORICAL:
        _channel_of(connection, point_id, name, Counting.INTERVAL, unit, COUNTED_INTERVAL_S)
    return _channel_of(connection, point_id, name, kind.counting, unit, MINUTE_S)


def _channel_of(
    connection: sa.Connection,
    point_id: int,
    name: str,
    counting: Counting,
    unit: str,
    interval_s: int,
) -> int:
    flow = int(measured_flow(name))
    known: int | None = connection.execute(
        sa.select(channels.c.id).where(
            channels.c.meter_point_id == point_id,
            channels.c.measurement == name,
            channels.c.flow == flow,
            channels.c.counting == int(counting),
        )
    ).scalar()
    if known is not None:
        return known
    zone = sa.select(meter_points.c.zone).where(meter_points.c.id == point_id).scalar_subquery()
    made: int = connection.execute(
        sa.insert(channels)
        .values(
            meter_point_id=point_id,
            measurement=name,
            flow=flow,
            counting=int(counting),
            unit=unit,
            interval_s=interval_s,
            zone=zone,
        )
        .returning(channels.c.id)
    ).scalar_one()
    return made
