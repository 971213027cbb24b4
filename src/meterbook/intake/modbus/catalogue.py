"""Reads `devices/*.toml`: one file a meter model, its registers as the maker lists them."""

import tomllib
from pathlib import Path

import msgspec

from meterbook.domain.modbus_numbers import (
    BusLimits,
    Direction,
    FunctionCode,
    NumberType,
    WordOrder,
)
from meterbook.registry.catalogue import CatalogueModel, CatalogueRegister

DEVICES = Path(__file__).parent / "devices"


class DeviceFileError(ValueError):
    """A device file that is not right; names the file."""


class _Register(msgspec.Struct, forbid_unknown_fields=True):
    measurement: str
    address: int
    number: str
    """int16, float32, ... as in `NumberType`."""
    unit: str = ""
    function: str = ""
    word_order: str = ""
    scale: float = 1.0
    missing: list[int] = []
    scale_address: int | None = None
    word_addresses: list[int] = []


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    title: str
    direction: str
    """single or both."""
    source: str
    """Where the registers are from."""
    registers: list[_Register]
    function: str = "holding"
    """holding or input, of registers that do not say."""
    word_order: str = WordOrder.HIGH_FIRST.value
    """Of registers that do not say."""
    limits: dict[str, int] = {}
    """What the device bears, as in `BusLimits`."""


def catalogued_models(folder: Path = DEVICES) -> list[CatalogueModel]:
    """
    Return the models of the folder's files, by file name.

    :raises DeviceFileError: naming the first file that is not right.
    """
    return [_model(file) for file in sorted(folder.glob("*.toml"))]


def _model(file: Path) -> CatalogueModel:
    try:
        device = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _Device)
        return CatalogueModel(
            name=device.name,
            direction=Direction[device.direction.upper()],
            registers=[
                CatalogueRegister(
                    measurement=register.measurement,
                    address=register.address,
                    function_code=FunctionCode[(register.function or device.function).upper()],
                    number_type=NumberType[register.number.upper()],
                    word_order=WordOrder(register.word_order or device.word_order),
                    unit=register.unit,
                    scale=register.scale,
                    missing=register.missing,
                    scale_address=register.scale_address,
                    word_addresses=register.word_addresses,
                )
                for register in device.registers
            ],
            limits=_checked(device.limits),
        )
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError, ValueError) as error:
        raise DeviceFileError(f"{file.name}: {error}") from None


def _checked(limits: dict[str, int]) -> dict[str, int]:
    if unknown := limits.keys() - set(BusLimits.__struct_fields__):
        raise ValueError(f"no limit {min(unknown)}")
    return limits
