"""Devices and their inputs in the reader's words."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from meterbook.domain.meter_ids import dashed
from meterbook.domain.readings import Flow
from meterbook.inputs.owned_devices import Device, DeviceInput
from meterbook.queries.claimed_inputs import ClaimedAs, account_names, claimed_inputs
from meterbook.web import formats
from meterbook.web.languages import gettext, marked
from meterbook.web.measured import NOTHING, measurement_words

PATH = "/devices"
INPUTS_ON_A_CARD = 6
MAPPING_WORDS = {
    "counter": marked("a counter that only rises"),
    "interval": marked("energy of each interval"),
    "momentary": marked("of the moment"),
}
SCHEME_WORDS = {
    "emoncms": "emoncms",
    "influxdb": "InfluxDB",
    "mqtt": "MQTT",
    "vzlogger": "vzlogger",
    "thingsboard": "ThingsBoard",
}
_DIGITS_MAX = 3


class ShownInput(msgspec.Struct, frozen=True):
    """One input as a table shows it."""

    path: str
    name: str
    amount: str
    """The newest number with its unit."""
    at: str
    """How long ago that was."""
    seems: str
    """What it seems to be; empty: it did not say."""
    claimed_as: str
    """What it is; empty: nobody has claimed it."""
    meter: str
    """The meter that shows it, with dashes; empty: none does."""
    is_recorded: bool


class ShownDevice(msgspec.Struct, frozen=True):
    """One device as a card shows it."""

    path: str
    name: str
    scheme: str
    foreign_id: str
    owner: str
    """The account's name; empty: nobody."""
    inputs: list[ShownInput]
    more: int
    """How many inputs are not shown."""


def shown_devices(
    connection: sa.Connection, devices: Sequence[Device], *, now: int, inputs_max: int | None
) -> list[ShownDevice]:
    """
    Return devices as pages show them.

    :param inputs_max: of each device; None: all.
    """
    places = claimed_inputs(connection, device_ids=[device.id for device in devices])
    users = {device.user for device in devices if device.user is not None}
    owners = account_names(connection, account_ids=users)
    return [_device(device, places, owners, now, inputs_max) for device in devices]


def shown_input(
    device: Device, found: DeviceInput, place: ClaimedAs | None, now: int
) -> ShownInput:
    """Return an input as pages show it."""
    claimed_as, meter = "", ""
    if place is not None and found.mapping:
        claimed_as = _claimed_words(found.mapping, place)
        meter = dashed(place.meter_id) if place.meter_id else ""
    return ShownInput(
        path=f"{PATH}/{device.id}/inputs/{found.id}",
        name=found.name,
        amount=_amount_words(found),
        at=NOTHING if found.last_at is None else _age(found.last_at, now),
        seems=_seems(found),
        claimed_as=claimed_as,
        meter=meter,
        is_recorded=found.is_recorded,
    )


def _device(
    device: Device,
    places: Mapping[int, ClaimedAs],
    owners: Mapping[int, str],
    now: int,
    inputs_max: int | None,
) -> ShownDevice:
    shown = device.inputs[:inputs_max]
    return ShownDevice(
        path=f"{PATH}/{device.id}",
        name=device.name or device.foreign_id,
        scheme=SCHEME_WORDS.get(device.scheme, device.scheme),
        foreign_id=device.foreign_id,
        owner="" if device.user is None else owners[device.user],
        inputs=[shown_input(device, found, places.get(found.id), now) for found in shown],
        more=len(device.inputs) - len(shown),
    )


def _amount_words(found: DeviceInput) -> str:
    if found.last_amount is None:
        return NOTHING
    written = f"{found.last_amount:.{_DIGITS_MAX}f}".rstrip("0")
    digits = len(written.partition(".")[2])
    return f"{formats.number(found.last_amount, digits)} {found.unit or ''}".rstrip()


def _age(at: str, now: int) -> str:
    return formats.age(max(0, now - int(datetime.fromisoformat(at).timestamp())))


def _seems(found: DeviceInput) -> str:
    if not found.suggested:
        return ""
    words = gettext(MAPPING_WORDS[found.suggested])
    return f"{words}, {found.unit}" if found.unit else words


def _claimed_words(mapping: str, place: ClaimedAs) -> str:
    words = gettext(MAPPING_WORDS[mapping])
    if mapping == "momentary":
        return f"{measurement_words(place.measurement)}, {words}"
    flow = gettext("fed in") if place.flow is Flow.EXPORT else gettext("used")
    return f"{words}, {flow}"
