"""Meter models, their registers, measurements and accounts: lists, forms and actions."""

from typing import Any

import sqlalchemy as sa

from meterbook.api.measurements import NewMeasurement
from meterbook.api.meter_models import NewMeterModel
from meterbook.api.registers import NewRegister
from meterbook.api.users import UserChange
from meterbook.domain.modbus_numbers import FunctionCode, NumberType, WordOrder
from meterbook.queries.device_lists import (
    listed_accounts,
    listed_measurements,
    listed_meter_models,
    listed_registers,
)
from meterbook.registry import measurements, meter_models, modbus_registers, users
from meterbook.registry.accounts import Role
from meterbook.web.languages import gettext, marked
from meterbook.web.manage.forms import FormField, Shape
from meterbook.web.manage.item_number import number
from meterbook.web.manage.kinds import Action, Deed, Kind
from meterbook.web.manage.sites import CHOICES_MAX, entered, model_choices

_DIRECTIONS = (marked("single-directional"), marked("bi-directional"))
_KINDS = (marked("of this moment"), marked("a counter"))
_ORDERS = {
    WordOrder.HIGH_FIRST: marked("high word first"),
    WordOrder.LOW_FIRST: marked("low word first"),
}
_ROLES = {
    Role.HOUSEHOLD: marked("household"),
    Role.OPERATOR: marked("operator"),
    Role.ADMIN: marked("admin"),
}
_STATES = {
    users.AccountState.ACTIVE: marked("may sign in"),
    users.AccountState.DEACTIVATED: marked("deactivated"),
}


def _directions(_: sa.Connection) -> list[tuple[str, str]]:
    return [(str(at + 1), gettext(words)) for at, words in enumerate(_DIRECTIONS)]


def _measurement_kinds(_: sa.Connection) -> list[tuple[str, str]]:
    return [(str(at + 1), gettext(words)) for at, words in enumerate(_KINDS)]


def _number_types(_: sa.Connection) -> list[tuple[str, str]]:
    return [(str(each.value), each.name) for each in NumberType]


def _function_codes(_: sa.Connection) -> list[tuple[str, str]]:
    return [(str(each.value), f"{each.value} {each.name.lower()}") for each in FunctionCode]


def _orders(_: sa.Connection) -> list[tuple[str, str]]:
    return [(order.value, gettext(words)) for order, words in _ORDERS.items()]


def _roles(_: sa.Connection) -> list[tuple[str, str]]:
    return [(role.value, gettext(words)) for role, words in _ROLES.items()]


def _states(_: sa.Connection) -> list[tuple[str, str]]:
    return [(state.value, gettext(words)) for state, words in _STATES.items()]


def _measurement_choices(connection: sa.Connection) -> list[tuple[str, str]]:
    rows = listed_measurements(connection, search="", limit=CHOICES_MAX, offset=0)
    return [(row.id, row.id) for row in rows]


def _read_model(connection: sa.Connection, item: str) -> dict[str, str]:
    found = meter_models.meter_model(connection, meter_model_id=number(item, "meter"))
    return entered(found)


def _add_model(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    return str(meter_models.add_meter_model(connection, fields=fields, by=deed.by, now=deed.now).id)


def _change_model(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    meter_models.change_meter_model(
        connection, meter_model_id=number(item, "meter"), changes=changes, by=deed.by, now=deed.now
    )


def _remove_model(connection: sa.Connection, item: str, deed: Deed) -> None:
    meter_models.remove_meter_model(
        connection, meter_model_id=number(item, "meter"), by=deed.by, now=deed.now
    )


def _read_register(connection: sa.Connection, item: str) -> dict[str, str]:
    found = modbus_registers.modbus_register(connection, register_id=number(item, "register"))
    usual = {"word_order": found.word_order.value, "scale": f"{found.scale:g}"}
    missing = ", ".join(str(raw) for raw in found.missing)
    return usual | entered(found) | {"missing": missing}


def _add_register(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    return str(
        modbus_registers.add_register(connection, fields=fields, by=deed.by, now=deed.now).id
    )


def _change_register(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    modbus_registers.change_register(
        connection, register_id=number(item, "register"), changes=changes, by=deed.by, now=deed.now
    )


def _remove_register(connection: sa.Connection, item: str, deed: Deed) -> None:
    modbus_registers.remove_register(
        connection, register_id=number(item, "register"), by=deed.by, now=deed.now
    )


def _read_measurement(connection: sa.Connection, item: str) -> dict[str, str]:
    return entered(measurements.measurement_named(connection, name=item))


def _add_measurement(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    return measurements.add_measurement(
        connection, fields=fields, by=deed.by, now=deed.now
    ).measurement


def _change_measurement(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    measurements.change_measurement(
        connection, name=item, changes=changes, by=deed.by, now=deed.now
    )


def _remove_measurement(connection: sa.Connection, item: str, deed: Deed) -> None:
    measurements.remove_measurement(connection, name=item, by=deed.by, now=deed.now)


def _read_account(connection: sa.Connection, item: str) -> dict[str, str]:
    return entered(users.user(connection, account_id=number(item, "user")))


def _change_account(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    users.change_user(
        connection, account_id=number(item, "user"), changes=changes, by=deed.by, now=deed.now
    )


METER_MODELS = Kind(
    title=marked("Meter models"),
    one=marked("Meter model"),
    summary=marked("Makes of meters, with the registers each has."),
    columns=(marked("Name"), marked("Registers"), marked("Hosts")),
    listed=listed_meter_models,
    fields=(
        FormField("name", marked("Name"), width="half"),
        FormField("type", marked("Counts"), Shape.CHOICE, choices=_directions, width="half"),
    ),
    body=NewMeterModel,
    read=_read_model,
    change=_change_model,
    add=_add_model,
    add_words=marked("Add a meter model"),
    actions={
        "remove": Action(
            marked("Remove"),
            marked("Remove this meter model?"),
            marked(
                "It and its registers are gone for good. One that hosts are of, or were, stays."
            ),
            _remove_model,
        )
    },
    numeric=(1, 2),
)
REGISTERS = Kind(
    title=marked("Registers"),
    one=marked("Register"),
    summary=marked("Where a meter model keeps each measurement."),
    columns=(
        marked("Measurement"),
        marked("Meter model"),
        marked("Address"),
        marked("Unit of measure"),
    ),
    listed=listed_registers,
    fields=(
        FormField(
            "meter", marked("Meter model"), Shape.CHOICE, choices=model_choices, width="half"
        ),
        FormField(
            "measurement",
            marked("Measurement"),
            Shape.CHOICE,
            choices=_measurement_choices,
            width="half",
        ),
        FormField("address", marked("Address"), Shape.WHOLE, width="third"),
        FormField(
            "function_code",
            marked("Function"),
            Shape.CHOICE,
            choices=_function_codes,
            width="third",
        ),
        FormField("type", marked("Number"), Shape.CHOICE, choices=_number_types, width="third"),
        FormField("unit", marked("Unit of measure"), width="third"),
        FormField(
            "scale",
            marked("Scale"),
            Shape.DECIMAL,
            marked("Raw number times this."),
            is_required=False,
            empty="1",
            width="third",
        ),
        FormField("word_order", marked("Word order"), Shape.CHOICE, choices=_orders, width="third"),
        FormField(
            "missing",
            marked("Raw numbers that mean no value"),
            Shape.WHOLES,
            marked("With commas between them."),
            is_required=False,
        ),
    ),
    body=NewRegister,
    read=_read_register,
    change=_change_register,
    add=_add_register,
    add_words=marked("Add a register"),
    actions={
        "remove": Action(
            marked("Remove"),
            marked("Remove this register?"),
            marked("It is gone for good. One that hosts are read by stays."),
            _remove_register,
        )
    },
    numeric=(2,),
)
MEASUREMENTS = Kind(
    title=marked("Measurements"),
    one=marked("Measurement"),
    summary=marked("The quantities that can be measured."),
    columns=(marked("Name"), marked("Registers")),
    listed=listed_measurements,
    fields=(
        FormField("measurement", marked("Name"), only_new=True, width="half"),
        FormField("type", marked("Is"), Shape.CHOICE, choices=_measurement_kinds, width="half"),
    ),
    body=NewMeasurement,
    read=_read_measurement,
    change=_change_measurement,
    add=_add_measurement,
    add_words=marked("Add a measurement"),
    actions={
        "remove": Action(
            marked("Remove"),
            marked("Remove this measurement?"),
            marked("It is gone for good. One that registers hold, or that has a history, stays."),
            _remove_measurement,
        )
    },
    numeric=(1,),
)
ACCOUNTS = Kind(
    title=marked("Accounts"),
    one=marked("Account"),
    summary=marked("Who may sign in, and as what."),
    columns=(marked("Name"), marked("E-mail"), marked("Role"), marked("State")),
    listed=listed_accounts,
    fields=(
        FormField("email", marked("E-mail")),
        FormField("role", marked("Role"), Shape.CHOICE, choices=_roles, width="half"),
        FormField(
            "state",
            marked("State"),
            Shape.CHOICE,
            marked("Deactivating ends every session of it."),
            choices=_states,
            width="half",
        ),
    ),
    body=UserChange,
    read=_read_account,
    change=_change_account,
)
