"""Hosts: Modbus devices, each an address on the network and a slave address behind it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.host_addresses import HostAddressError, host_address
from meterbook.registry import audit
from meterbook.registry.locations import require_account
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.dialects import row_lock
from meterbook.storage.tables import (
    host_measurements,
    hosts,
    locations,
    meter_models,
    modbus_registers,
)

POLL_S_MIN, POLL_S_MAX = 5, 3600


class Host(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device; what has its usual value is left out."""

    id: int
    ip: str
    """IPv4 address, IPv6 address, host name or serial line, as in `domain.host_addresses`."""
    port: int
    slave_address: int
    description: str
    user: int
    """The account it belongs to."""
    location: int
    meter: int
    """The meter model's id."""
    poll_seconds: int | None = None
    """How often it is read; null: as often as the setting says."""


_COLUMN_OF = {
    "id": hosts.c.id,
    "ip": hosts.c.ip,
    "port": hosts.c.port,
    "slave_address": hosts.c.slave_address,
    "description": hosts.c.description,
    "user": hosts.c.account_id,
    "location": hosts.c.location_id,
    "meter": hosts.c.meter_model_id,
    "poll_seconds": hosts.c.poll_seconds,
}
_present = hosts.c.archived_at.is_(None)
# Built once: programs ask these all day, and building takes longer than asking.
_HOSTS = sa.select(*_COLUMN_OF.values()).where(_present).order_by(hosts.c.id)
_HOSTS_OF_ACCOUNT = _HOSTS.where(hosts.c.account_id == sa.bindparam("account_id"))


def hosts_of(
    connection: sa.Connection,
    *,
    account_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Host]:
    """Return the account's hosts, or everybody's, by id, without archived ones."""
    wanted = _HOSTS if account_id is None else _HOSTS_OF_ACCOUNT
    if limit is not None or offset:
        wanted = wanted.limit(limit).offset(offset)
    asked = {} if account_id is None else {"account_id": account_id}
    return [Host(*row) for row in connection.execute(wanted, asked).all()]


def host(connection: sa.Connection, *, host_id: int, account_id: int | None = None) -> Host:
    """
    Return one host.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none, or it is archived.
    """
    wanted = sa.select(*_COLUMN_OF.values()).where(hosts.c.id == host_id, _present)
    if account_id is not None:
        wanted = wanted.where(hosts.c.account_id == account_id)
    row = connection.execute(wanted).first()
    if row is None:
        raise NotThereError("host")
    return Host(*row)


def hold_host(connection: sa.Connection, *, host_id: int) -> int | None:
    """Let nobody else change the host until the commit; return its meter point, if it has one."""
    lock = row_lock(connection)
    held = sa.text(f"SELECT meter_point_id FROM hosts WHERE id = :host_id {lock}")  # noqa: S608 our own text
    point_id: int | None = connection.execute(held, {"host_id": host_id}).scalar()
    return point_id


def add_host(
    connection: sa.Connection, *, fields: Mapping[str, Any], by: int | None, now: int
) -> Host:
    """
    Make a host and return it.

    :param fields: named as in `Host`, without `id`.
    :raises WrongFieldError: if the user, the location or the meter model does not exist, or the
        location is not the user's, or the address is none.
    :raises sqlalchemy.exc.IntegrityError: if there is a host of that address.
    """
    checked = _checked(connection, fields)
    host_id = connection.execute(
        sa.insert(hosts)
        .values({_COLUMN_OF[name]: checked[name] for name in checked} | {"created_at": now})
        .returning(hosts.c.id)
    ).scalar_one()
    added = host(connection, host_id=host_id)
    audit.record(connection, by=by, action="add", subject=f"hosts/{host_id}", after=added, now=now)
    return added


def change_host(
    connection: sa.Connection,
    *,
    host_id: int,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> Host:
    """
    Change a host and return it.

    :raises NotThereError: if there is none.
    :raises WrongFieldError: as `add_host`; also if the model lacks a register for a measurement
        that is assigned.
    :raises InUseError: if it is to belong to another account and has a history.
    :raises sqlalchemy.exc.IntegrityError: as `add_host`.
    """
    meter_point_id = hold_host(connection, host_id=host_id)
    before = host(connection, host_id=host_id)
    checked = _checked(connection, msgspec.structs.asdict(before) | dict(changes))
    if checked["user"] != before.user and meter_point_id is not None:
        raise InUseError(f"host {host_id} has a history, which stays with its user: add a new host")
    if checked["meter"] != before.meter:
        _require_registers(connection, host_id, checked["meter"])
    connection.execute(
        sa.update(hosts)
        .where(hosts.c.id == host_id)
        .values({_COLUMN_OF[name]: checked[name] for name in checked})
    )
    after = host(connection, host_id=host_id)
    audit.record_change(
        connection,
        by=by,
        subject=f"hosts/{host_id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def remove_host(connection: sa.Connection, *, host_id: int, by: int | None, now: int) -> None:
    """
    Remove a host; one that has a history is archived: no longer read or listed, nothing lost.

    :raises NotThereError: if there is none.
    """
    meter_point_id = hold_host(connection, host_id=host_id)
    before = host(connection, host_id=host_id)
    if meter_point_id is None:
        connection.execute(sa.delete(hosts).where(hosts.c.id == host_id))
    else:
        connection.execute(sa.update(hosts).where(hosts.c.id == host_id).values(archived_at=now))
    audit.record(
        connection,
        by=by,
        action="remove" if meter_point_id is None else "archive",
        subject=f"hosts/{host_id}",
        before=before,
        now=now,
    )


def _checked(connection: sa.Connection, fields: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(fields)
    try:
        checked["ip"] = host_address(fields["ip"])
    except HostAddressError as error:
        raise WrongFieldError("ip", str(error)) from None
    require_account(connection, fields["user"])
    home = sa.select(locations.c.id).where(
        locations.c.id == fields["location"], locations.c.account_id == fields["user"]
    )
    if not connection.execute(home).first():
        raise WrongFieldError("location", "is no location of that user")
    model = sa.select(meter_models.c.id).where(meter_models.c.id == fields["meter"])
    if not connection.execute(model).first():
        raise WrongFieldError("meter", "is no meter that exists")
    return checked


def _require_registers(connection: sa.Connection, host_id: int, meter_model_id: int) -> None:
    lacking = (
        sa.select(host_measurements.c.measurement)
        .where(
            host_measurements.c.host_id == host_id,
            host_measurements.c.measurement.not_in(
                sa.select(modbus_registers.c.measurement).where(
                    modbus_registers.c.meter_model_id == meter_model_id
                )
            ),
        )
        .order_by(host_measurements.c.measurement)
    )
    if names := connection.scalars(lacking).all():
        raise WrongFieldError("meter", f"has no register for {', '.join(names)}")
