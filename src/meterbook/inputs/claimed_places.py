"""Where the readings of a claimed input go: its meter point and its channel."""

import msgspec
import sqlalchemy as sa

from meterbook.domain.input_mappings import Mapping
from meterbook.domain.readings import Flow
from meterbook.inputs.owned_devices import Device
from meterbook.registry.meter_points import claim_meter, meter_point
from meterbook.registry.refusals import WrongFieldError
from meterbook.storage.device_tables import device_inputs, devices
from meterbook.storage.tables import (
    channels,
    installations,
    meter_points,
)


class MeterPlaceWanted(msgspec.Struct, frozen=True):
    """The meter point a claim asks for."""

    device: Device
    meter_id: int | None
    """The meter whose meter point it is; None: the device's own."""
    zone: str
    """Of a meter point that is made."""


def meter_point_for(
    connection: sa.Connection, wanted: MeterPlaceWanted, *, by: int | None, now: int
) -> int:
    """
    Return the meter point, made if it is not there.

    :raises WrongFieldError: if the meter is not of the device's user.
    """
    if wanted.meter_id is not None:
        return _point_of_meter(connection, wanted, wanted.meter_id, by=by, now=now)
    device = wanted.device
    # Of the user it has now: another one's stays with whoever had the device before.
    known: int | None = connection.execute(
        sa.select(devices.c.meter_point_id)
        .join(meter_points, meter_points.c.id == devices.c.meter_point_id)
        .where(devices.c.id == device.id, meter_points.c.account_id == device.user)
    ).scalar()
    if known is not None:
        return known
    made: int = connection.execute(
        sa.insert(meter_points)
        .values(
            account_id=device.user,
            name=(device.name or device.foreign_id)[:200],
            zone=wanted.zone,
            created_at=now,
            claimed_at=now,
        )
        .returning(meter_points.c.id)
    ).scalar_one()
    connection.execute(
        sa.update(devices).where(devices.c.id == device.id).values(meter_point_id=made)
    )
    return made


def _point_of_meter(
    connection: sa.Connection,
    wanted: MeterPlaceWanted,
    meter_id: int,
    *,
    by: int | None,
    now: int,
) -> int:
    place = connection.execute(
        sa.select(installations.c.meter_point_id)
        .where(installations.c.meter_id == meter_id)
        .order_by(installations.c.installed_at.desc())
        .limit(1)
    ).scalar()
    if place is None:
        fields = {"user": wanted.device.user, "name": wanted.device.name, "zone": wanted.zone}
        given = {name: text for name, text in fields.items() if text is not None}
        made = claim_meter(
            connection, meter_id=meter_id, fields=given, default_zone=wanted.zone, by=by, now=now
        )
        return made.id
    if meter_point(connection, meter_point_id=place).user != wanted.device.user:
        raise WrongFieldError("meter_id", "is no meter of that user")
    return int(place)


def channel_for(
    connection: sa.Connection,
    *,
    meter_point_id: int,
    measurement: str,
    flow: Flow,
    mapping: Mapping,
    unit: str,
) -> int:
    """
    Return the channel, made if it is not there.

    :raises WrongFieldError: if there is one in another unit or of another interval.
    """
    key = {
        "meter_point_id": meter_point_id,
        "measurement": measurement,
        "flow": int(flow),
        "counting": int(mapping.counting),
    }
    row = connection.execute(
        sa.select(channels.c.id, channels.c.interval_s, channels.c.unit).filter_by(**key)
    ).first()
    if row is None:
        zone = sa.select(meter_points.c.zone).where(meter_points.c.id == meter_point_id)
        rest = {"unit": unit, "interval_s": mapping.channel_interval_s}
        made: int = connection.execute(
            sa.insert(channels)
            .values(**key, **rest, zone=zone.scalar_subquery())
            .returning(channels.c.id)
        ).scalar_one()
        return made
    if (row.interval_s, row.unit) != (mapping.channel_interval_s, unit):
        raise WrongFieldError("measurement", f"is kept in {row.unit} there already")
    return int(row.id)


def require_free(connection: sa.Connection, *, channel_id: int) -> None:
    """
    Make sure that no other input fills the channel.

    :raises WrongFieldError: if one does.
    """
    taken = sa.select(device_inputs.c.id).where(device_inputs.c.channel_id == channel_id)
    if other := connection.execute(taken).scalar():
        raise WrongFieldError("measurement", f"comes from input {other} already")
