"""`/admin/registers`: where meter models keep measurements."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import NO_CONTROLS, Id, ItemId, Limit, MeasurementName, Offset, given
from meterbook.domain.modbus_numbers import FunctionCode, NumberType, WordOrder
from meterbook.registry import modbus_registers
from meterbook.registry.modbus_registers import ModbusRegister

RegisterAddress = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Unit = Annotated[str, msgspec.Meta(max_length=16, pattern=NO_CONTROLS, examples=["A"])]
Scale = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
Missing = Annotated[list[int], msgspec.Meta(max_length=8)]
WordAddresses = Annotated[list[RegisterAddress], msgspec.Meta(max_length=4)]


class NewRegister(msgspec.Struct, frozen=True):
    """A register to be."""

    address: RegisterAddress
    measurement: MeasurementName
    unit: Unit
    number_type: NumberType = msgspec.field(name="type")
    function_code: FunctionCode
    meter: Id
    word_order: WordOrder = WordOrder.HIGH_FIRST
    scale: Scale = 1.0
    missing: Missing = []
    scale_address: RegisterAddress | None = None
    word_addresses: WordAddresses = []


class RegisterChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    address: RegisterAddress | UnsetType = UNSET
    measurement: MeasurementName | UnsetType = UNSET
    unit: Unit | UnsetType = UNSET
    number_type: NumberType | UnsetType = msgspec.field(name="type", default=UNSET)
    function_code: FunctionCode | UnsetType = UNSET
    meter: Id | UnsetType = UNSET
    word_order: WordOrder | UnsetType = UNSET
    scale: Scale | UnsetType = UNSET
    missing: Missing | UnsetType = UNSET
    scale_address: RegisterAddress | UnsetType | None = UNSET
    word_addresses: WordAddresses | UnsetType = UNSET


@get("/admin/registers", sync_to_thread=True, summary="All registers")
def all_registers(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[ModbusRegister]:
    """List the registers of all meter models."""
    with visit.reading() as (connection, _):
        return modbus_registers.registers_of(connection, limit=limit, offset=offset)


@post("/admin/registers", sync_to_thread=True, summary="Add a register")
def add_register(visit: NamedDependency[Visit], data: JSONBody[NewRegister]) -> ModbusRegister:
    """Add a register; its measurement must exist."""
    with visit.writing() as (connection, account):
        return modbus_registers.add_register(
            connection, fields=given(data), by=account.id, now=visit.now
        )


@get("/admin/registers/{register_id:int}", sync_to_thread=True, summary="A register")
def register(visit: NamedDependency[Visit], register_id: ItemId) -> ModbusRegister:
    """Answer with one register."""
    with visit.reading() as (connection, _):
        return modbus_registers.modbus_register(connection, register_id=register_id)


@patch("/admin/registers/{register_id:int}", sync_to_thread=True, summary="Change a register")
def change_register(
    visit: NamedDependency[Visit], register_id: ItemId, data: JSONBody[RegisterChange]
) -> ModbusRegister:
    """Change one register."""
    with visit.writing() as (connection, account):
        return modbus_registers.change_register(
            connection,
            register_id=register_id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@delete("/admin/registers/{register_id:int}", sync_to_thread=True, summary="Remove a register")
def remove_register(visit: NamedDependency[Visit], register_id: ItemId) -> None:
    """Remove one register that no host is read by."""
    with visit.writing() as (connection, account):
        modbus_registers.remove_register(
            connection, register_id=register_id, by=account.id, now=visit.now
        )
