"""`/user/devices`: what sends of itself, its keys, and claiming what it sends."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import Id, ItemId, Limit, MeasurementName, MeterId, Offset, Text, given
from meterbook.domain.input_mappings import Mapping
from meterbook.domain.readings import Flow
from meterbook.inputs import claims, owned_devices
from meterbook.inputs.claims import InputClaim
from meterbook.inputs.owned_devices import Device, DeviceInput
from meterbook.inputs.recording import record_input
from meterbook.registry import device_keys
from meterbook.registry.accounts import Account, Role
from meterbook.registry.device_keys import DeviceKey, KeyForm, NewDeviceKey


class WantedKey(msgspec.Struct, frozen=True):
    """A key to be."""

    label: Text
    form: KeyForm = KeyForm.HEX32


class DeviceChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    name: Text | UnsetType | None = UNSET
    zone: Text | UnsetType | None = UNSET


class DeviceOwner(msgspec.Struct, frozen=True):
    """Whose it is to be."""

    user: Id | None


class Claim(msgspec.Struct, frozen=True):
    """What an input's numbers are; what is left out is what the device announced."""

    mapping: Mapping | UnsetType = UNSET
    unit: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] | UnsetType = UNSET
    factor: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] | UnsetType = UNSET
    measurement: MeasurementName | UnsetType = UNSET
    flow: Flow | UnsetType = UNSET
    resets_to_zero: bool | UnsetType = UNSET
    rated_power_w: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | UnsetType = UNSET
    length_s: Annotated[int, msgspec.Meta(ge=60, le=1800)] | UnsetType = UNSET
    meter_id: MeterId | UnsetType = UNSET


@get("/user/device-keys", sync_to_thread=True, summary="My devices' keys")
def my_keys(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[DeviceKey]:
    """List the caller's keys for devices; the keys themselves were shown once."""
    with visit.reading() as (connection, account):
        return device_keys.device_keys_of(
            connection, account_id=account.id, limit=limit, offset=offset
        )


@post("/user/device-keys", sync_to_thread=True, summary="Make a key for a device")
def make_key(visit: NamedDependency[Visit], data: JSONBody[WantedKey]) -> NewDeviceKey:
    """Answer with a new key, this once."""
    with visit.writing() as (connection, account):
        return device_keys.give_device_key(
            connection,
            visit.book.personal,
            account_id=account.id,
            label=data.label,
            form=data.form,
            now=visit.now,
        )


@delete("/user/device-keys/{key_id:int}", sync_to_thread=True, summary="Revoke a key")
def revoke_key(visit: NamedDependency[Visit], key_id: ItemId) -> None:
    """Make one of the caller's keys worthless at once."""
    with visit.writing() as (connection, account):
        device_keys.revoke_device_key(
            connection, key_id=key_id, account_id=account.id, now=visit.now
        )


@get("/user/devices", sync_to_thread=True, summary="My devices and what they send")
def my_devices(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[Device]:
    """List what sends with the caller's keys, or was given to the caller."""
    with visit.reading() as (connection, account):
        return owned_devices.devices_seen(
            connection, account_id=account.id, limit=limit, offset=offset
        )


@patch("/user/devices/{device_id:int}", sync_to_thread=True, summary="Change a device")
def change_my_device(
    visit: NamedDependency[Visit], device_id: ItemId, data: JSONBody[DeviceChange]
) -> Device:
    """Change its name, or the zone of its clock while no input is claimed."""
    with visit.writing() as (connection, account):
        return owned_devices.change_device(
            connection,
            device_id=device_id,
            account_id=_owner(account),
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@post(
    "/user/devices/{device_id:int}/inputs/{input_id:int}/claim",
    sync_to_thread=True,
    summary="Claim an input",
)
def claim_input(
    visit: NamedDependency[Visit], device_id: ItemId, input_id: ItemId, data: JSONBody[Claim]
) -> DeviceInput:
    """Say what an input is; what it sent since it was first seen goes into the books."""
    with visit.writing() as (connection, account):
        owner = _owner(account)
        claims.claim_input(
            connection,
            device_id=device_id,
            input_id=input_id,
            account_id=owner,
            claim=msgspec.convert(given(data), InputClaim),
            default_zone=visit.book.default_zone,
            by=account.id,
            now=visit.now,
        )
    record_input(visit.book.database, input_id=input_id, now=visit.now)
    with visit.reading() as (connection, _):
        return claims.input_seen(
            connection, device_id=device_id, input_id=input_id, account_id=owner
        )


@delete(
    "/user/devices/{device_id:int}/inputs/{input_id:int}/claim",
    sync_to_thread=True,
    summary="Give an input back",
)
def give_back_input(visit: NamedDependency[Visit], device_id: ItemId, input_id: ItemId) -> None:
    """End a claim; what is in the books stays."""
    with visit.writing() as (connection, account):
        claims.give_back_input(
            connection,
            device_id=device_id,
            input_id=input_id,
            account_id=_owner(account),
            by=account.id,
            now=visit.now,
        )


@get("/admin/unclaimed-devices", sync_to_thread=True, summary="Devices with unclaimed inputs")
def unclaimed_devices(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[Device]:
    """List everybody's devices that have an input nobody has claimed."""
    with visit.reading() as (connection, _):
        return owned_devices.devices_seen(connection, unclaimed=True, limit=limit, offset=offset)


@patch("/admin/devices/{device_id:int}", sync_to_thread=True, summary="Give a device to a user")
def give_device(
    visit: NamedDependency[Visit], device_id: ItemId, data: JSONBody[DeviceOwner]
) -> Device:
    """Give a device to a user, or to nobody, while no input of it is claimed."""
    with visit.writing() as (connection, account):
        return owned_devices.change_device(
            connection,
            device_id=device_id,
            account_id=None,
            changes={"user": data.user},
            by=account.id,
            now=visit.now,
        )


def _owner(account: Account) -> int | None:
    return None if account.role is Role.ADMIN else account.id
