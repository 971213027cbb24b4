"""
Lists of what admins look after, with the names of what each row belongs to, and a search.

A search finds what has its letters anywhere in the row's own words, whatever their case.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.meter_ids import dashed
from meterbook.storage.tables import (
    accounts,
    hosts,
    installations,
    locations,
    measurements,
    meter_models,
    meter_points,
    meters,
    modbus_registers,
)

_ESCAPE = "\\"


class ListRow(msgspec.Struct, frozen=True):
    """One row of a list."""

    id: str
    cells: list[str]
    """As many as the list has columns."""


def listed_locations(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return locations: address, city, user."""
    address = locations.c.street + " " + locations.c.number
    city = locations.c.zip_code + " " + locations.c.city
    wanted = sa.select(locations.c.id, address, city, accounts.c.username).join(
        accounts, accounts.c.id == locations.c.account_id
    )
    found = _matching(wanted, search, address, city, accounts.c.username)
    return _rows(connection, found.order_by(locations.c.id), limit, offset)


def listed_hosts(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return hosts without archived ones: address, unit, meter model, location, user."""
    address = hosts.c.ip + ":" + sa.cast(hosts.c.port, sa.Text)
    place = locations.c.street + " " + locations.c.number + ", " + locations.c.city
    wanted = (
        sa.select(
            hosts.c.id,
            address,
            hosts.c.slave_address,
            meter_models.c.name,
            place,
            accounts.c.username,
            hosts.c.description,
        )
        .join(accounts, accounts.c.id == hosts.c.account_id)
        .join(locations, locations.c.id == hosts.c.location_id)
        .join(meter_models, meter_models.c.id == hosts.c.meter_model_id)
        .where(hosts.c.archived_at.is_(None))
    )
    found = _matching(
        wanted, search, address, meter_models.c.name, place, accounts.c.username,
        hosts.c.description,
    )  # fmt: skip
    return _rows(connection, found.order_by(hosts.c.id), limit, offset)


def listed_meter_models(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return meter models: name, how many registers and hosts."""
    registers = _count(modbus_registers, modbus_registers.c.meter_model_id)
    of_model = _count(hosts, hosts.c.meter_model_id)
    wanted = sa.select(meter_models.c.id, meter_models.c.name, registers, of_model)
    found = _matching(wanted, search, meter_models.c.name)
    return _rows(connection, found.order_by(meter_models.c.name), limit, offset)


def listed_registers(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return registers: meter model, measurement, address, unit."""
    register = modbus_registers.c
    wanted = sa.select(
        register.id, register.measurement, meter_models.c.name, register.address, register.unit
    ).join(meter_models, meter_models.c.id == register.meter_model_id)
    found = _matching(wanted, search, register.measurement, meter_models.c.name)
    ordered = found.order_by(meter_models.c.name, register.function_code, register.address)
    return _rows(connection, ordered, limit, offset)


def listed_measurements(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return measurements: name, how many registers hold it."""
    name = measurements.c.name
    registers = (
        sa.select(sa.func.count()).where(modbus_registers.c.measurement == name).scalar_subquery()
    )
    found = _matching(sa.select(name.label("id"), name, registers), search, name)
    return _rows(connection, found.order_by(name), limit, offset)


def listed_accounts(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return accounts: name, e-mail, role, whether active."""
    state = sa.case((accounts.c.deactivated_at.is_(None), "active"), else_="deactivated")
    wanted = sa.select(accounts.c.id, accounts.c.username, accounts.c.email, accounts.c.role, state)
    found = _matching(wanted, search, accounts.c.username, accounts.c.email, accounts.c.role)
    return _rows(connection, found.order_by(accounts.c.id), limit, offset)


def listed_meter_points(
    connection: sa.Connection, *, search: str, limit: int, offset: int
) -> list[ListRow]:
    """Return meter points of packet meters: meter ID, name, region, user."""
    point = meter_points.c
    number = sa.cast(installations.c.meter_id, sa.Text)
    wanted = (
        sa.select(point.id, number, point.name, point.region, accounts.c.username)
        .select_from(installations)
        .join(meter_points, point.id == installations.c.meter_point_id)
        .join(meters, meters.c.meter_id == installations.c.meter_id)
        .join(accounts, accounts.c.id == point.account_id, isouter=True)
    )
    plain = search.replace("-", "") if search.replace("-", "").isdigit() else search
    found = _matching(wanted, plain, number, point.name, point.region, accounts.c.username)
    rows = _rows(connection, found.order_by(point.id), limit, offset)
    return [ListRow(row.id, [dashed(int(row.cells[0])), *row.cells[1:]]) for row in rows]


def _matching(wanted: sa.Select[Any], search: str, *texts: sa.ColumnElement[Any]) -> sa.Select[Any]:
    if not search:
        return wanted
    for sign in (_ESCAPE, "%", "_"):
        search = search.replace(sign, _ESCAPE + sign)
    pattern = f"%{search.lower()}%"
    return wanted.where(
        sa.or_(*(sa.func.lower(text).like(pattern, escape=_ESCAPE) for text in texts))
    )


def _count(table: sa.Table, column: sa.ColumnElement[Any]) -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(table)
        .where(column == meter_models.c.id)
        .scalar_subquery()
    )


def _rows(
    connection: sa.Connection, wanted: sa.Select[Any], limit: int, offset: int
) -> list[ListRow]:
    return [
        ListRow(str(row[0]), ["" if cell is None else str(cell) for cell in row[1:]])
        for row in connection.execute(wanted.limit(limit).offset(offset))
    ]
