"""Devices and their inputs as people see them: whose they are, what they sent last."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.input_mappings import MILLIONTHS
from meterbook.domain.local_days import UnknownZoneError, time_zone, utc_text
from meterbook.registry import audit
from meterbook.registry.locations import require_account
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.device_tables import device_inputs, devices


class DeviceInput(msgspec.Struct, frozen=True):
    """One named number of a device."""

    id: int
    name: str
    unit: str | None
    """As the device announced it; null: it did not."""
    last_amount: float | None
    """The newest number it sent, in its own unit."""
    last_at: str | None
    first_seen_at: str
    suggested: str | None
    """What it seems to be: momentary or counter."""
    mapping: str | None
    """What it was claimed as; null: nobody has claimed it."""
    channel: int | None
    """The channel its readings are in."""
    is_recorded: bool
    """Whether everything it sent is in the books."""


class Device(msgspec.Struct, frozen=True):
    """Something that sends numbers with names."""

    id: int
    scheme: str
    foreign_id: str
    """Its name in its own world: emoncms node, InfluxDB series, MQTT topic, ..."""
    user: int | None
    """The account it belongs to; null: nobody's yet."""
    name: str | None
    zone: str | None
    """IANA zone of its clock and its days; null: the installation's."""
    first_seen_at: str
    inputs: list[DeviceInput]


def devices_seen(
    connection: sa.Connection,
    *,
    account_id: int | None = None,
    unclaimed: bool = False,
    device_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Device]:
    """
    Return devices with their inputs, by id; of unclaimed ones first those that are nobody's.

    :param account_id: whose they must be; None: anybody's.
    :param unclaimed: only those with an input that nobody has claimed.
    """
    order = [devices.c.account_id.is_not(None)] if unclaimed else []
    wanted = sa.select(devices).order_by(*order, devices.c.id)
    if account_id is not None:
        wanted = wanted.where(devices.c.account_id == account_id)
    if device_id is not None:
        wanted = wanted.where(devices.c.id == device_id)
    if unclaimed:
        wanted = wanted.where(
            devices.c.id.in_(
                sa.select(device_inputs.c.device_id).where(device_inputs.c.channel_id.is_(None))
            )
        )
    found = connection.execute(wanted.limit(limit).offset(offset)).all()
    inputs: dict[int, list[DeviceInput]] = {row.id: [] for row in found}
    for row in connection.execute(
        sa.select(device_inputs)
        .where(device_inputs.c.device_id.in_(list(inputs)))
        .order_by(device_inputs.c.device_id, device_inputs.c.name)
    ):
        inputs[row.device_id].append(_input(row))
    return [
        Device(
            row.id,
            row.scheme,
            row.foreign_id,
            row.account_id,
            row.name,
            row.zone,
            utc_text(row.first_seen_at),
            inputs[row.id],
        )
        for row in found
    ]


def device_seen(
    connection: sa.Connection, *, device_id: int, account_id: int | None = None
) -> Device:
    """
    Return one device.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none.
    """
    found = devices_seen(connection, account_id=account_id, device_id=device_id)
    if not found:
        raise NotThereError("device")
    return found[0]


def change_device(
    connection: sa.Connection,
    *,
    device_id: int,
    account_id: int | None,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> Device:
    """
    Change a device and return it.

    :param account_id: whose it must be; None: anybody's.
    :param changes: `name`, `zone`, `user` (an admin gives it to somebody).
    :raises NotThereError: if there is none.
    :raises WrongFieldError: if the zone or the user does not exist.
    :raises InUseError: if the zone or the user is to change and an input is claimed.
    """
    before = device_seen(connection, device_id=device_id, account_id=account_id)
    columns = {("account_id" if name == "user" else name): changes[name] for name in changes}
    if changes.get("user") is not None:
        require_account(connection, changes["user"])
    if changes.get("zone") is not None:
        try:
            time_zone(changes["zone"])
        except UnknownZoneError as error:
            raise WrongFieldError("zone", str(error)) from None
    is_moved = any(
        name in changes and changes[name] != getattr(before, name) for name in ("user", "zone")
    )
    if is_moved and any(found.channel is not None for found in before.inputs):
        raise InUseError(f"device {device_id} has claimed inputs: give them back first")
    if columns:
        connection.execute(sa.update(devices).where(devices.c.id == device_id).values(columns))
    after = device_seen(connection, device_id=device_id)
    if after != before:
        audit.record(
            connection,
            by=by,
            action="change",
            subject=f"devices/{device_id}",
            before=_of_device(before),
            after=_of_device(after),
            now=now,
        )
    return after


def _of_device(device: Device) -> dict[str, Any]:
    return {"user": device.user, "name": device.name, "zone": device.zone}


def _input(row: Any) -> DeviceInput:
    return DeviceInput(
        row.id,
        row.name,
        row.unit,
        None if row.last_amount is None else row.last_amount / MILLIONTHS,
        None if row.last_at_ms is None else utc_text(row.last_at_ms // 1000),
        utc_text(row.first_seen_at),
        row.suggested,
        row.mapping,
        row.channel_id,
        row.channel_id is None or row.record_from_ms is None,
    )
