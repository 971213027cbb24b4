"""
What a SunSpec device said about itself, kept as a meter model of its own.

No two makes lay their models out alike, so `sunspec` names no registers. Discovering a host makes
a meter model of what was found, once for every layout, and the host is of that model from then on.
"""

import hashlib

import msgspec
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import Direction
from meterbook.registry.catalogue import CatalogueModel, CatalogueRegister, add_model
from meterbook.registry.hosts import change_host
from meterbook.storage.tables import meter_models

NAME_CHARACTERS_MAX = 200


class NotDiscoveredError(ValueError):
    """The host could not be read, or speaks no SunSpec."""


class FoundModel(msgspec.Struct, frozen=True):
    """One information model in a device."""

    id: int
    name: str
    """Empty for a model that Meterbook knows nothing of; it is passed over."""
    address: int
    """Of its first register, the id."""
    length: int
    """Registers after id and length."""


class SunSpecDevice(msgspec.Struct, frozen=True):
    """What a device said about itself."""

    base: int
    """Where the marker is."""
    manufacturer: str
    product: str
    version: str
    serial_number: str
    models: list[FoundModel]
    registers: list[CatalogueRegister]


class Discovery(msgspec.Struct, frozen=True):
    """What discovering a host brought."""

    host: int
    meter: int
    """The meter model that the host is of now."""
    base: int
    manufacturer: str
    product: str
    version: str
    serial_number: str
    models: list[FoundModel]
    measurements: list[str]
    """What may be assigned to the host now."""


def adopt_device(
    connection: sa.Connection, *, host_id: int, device: SunSpecDevice, by: int | None, now: int
) -> Discovery:
    """
    Make the host one of the meter model that fits the device, and the model if it is new.

    :raises NotThereError: if there is no such host.
    :raises WrongFieldError: if something is assigned to the host that the device has not.
    """
    model = _model_of(device)
    known = sa.select(meter_models.c.id).where(meter_models.c.name == model.name)
    model_id = connection.execute(known).scalar()
    if model_id is None:
        model_id = add_model(connection, model, by=by, now=now)
    change_host(connection, host_id=host_id, changes={"meter": model_id}, by=by, now=now)
    return Discovery(
        host=host_id,
        meter=model_id,
        base=device.base,
        manufacturer=device.manufacturer,
        product=device.product,
        version=device.version,
        serial_number=device.serial_number,
        models=device.models,
        measurements=[register.measurement for register in device.registers],
    )


def _model_of(device: SunSpecDevice) -> CatalogueModel:
    layout = hashlib.sha256(msgspec.json.encode(device.registers)).hexdigest()[:8]
    words = ["sunspec", device.manufacturer, device.product, layout]
    names = " ".join(register.measurement for register in device.registers)
    return CatalogueModel(
        name=" ".join(word for word in words if word)[-NAME_CHARACTERS_MAX:],
        direction=Direction.BOTH if "consumed" in names else Direction.SINGLE,
        registers=device.registers,
    )
