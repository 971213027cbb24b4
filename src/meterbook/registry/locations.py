"""Locations: a customer's sites, each with an address."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.registry import audit
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.tables import accounts, hosts, locations, solar_arrays


class Location(msgspec.Struct, frozen=True):
    """One site."""

    id: int
    street: str
    number: str
    city: str
    zip_code: str
    coord_x: float | None
    coord_y: float | None
    user: int
    """The account it belongs to."""


_COLUMN_OF = {
    "id": locations.c.id,
    "street": locations.c.street,
    "number": locations.c.number,
    "city": locations.c.city,
    "zip_code": locations.c.zip_code,
    "coord_x": locations.c.coord_x,
    "coord_y": locations.c.coord_y,
    "user": locations.c.account_id,
}


def locations_of(
    connection: sa.Connection,
    *,
    account_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Location]:
    """Return the account's locations, or everybody's, by id."""
    wanted = sa.select(*_COLUMN_OF.values()).order_by(locations.c.id)
    if account_id is not None:
        wanted = wanted.where(locations.c.account_id == account_id)
    return [Location(*row) for row in connection.execute(wanted.limit(limit).offset(offset))]


def location(
    connection: sa.Connection, *, location_id: int, account_id: int | None = None
) -> Location:
    """
    Return one location.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none.
    """
    wanted = sa.select(*_COLUMN_OF.values()).where(locations.c.id == location_id)
    if account_id is not None:
        wanted = wanted.where(locations.c.account_id == account_id)
    row = connection.execute(wanted).first()
    if row is None:
        raise NotThereError("location")
    return Location(*row)


def add_location(
    connection: sa.Connection, *, fields: Mapping[str, Any], by: int | None, now: int
) -> Location:
    """
    Make a location and return it.

    :param fields: named as in `Location`, without `id`.
    :raises WrongFieldError: if there is no such account.
    :raises sqlalchemy.exc.IntegrityError: if the account has a location of that address.
    """
    require_account(connection, fields["user"])
    location_id = connection.execute(
        sa.insert(locations)
        .values({_COLUMN_OF[name]: fields[name] for name in fields} | {"created_at": now})
        .returning(locations.c.id)
    ).scalar_one()
    added = location(connection, location_id=location_id)
    audit.record(
        connection, by=by, action="add", subject=f"locations/{location_id}", after=added, now=now
    )
    return added


def change_location(
    connection: sa.Connection,
    *,
    location_id: int,
    account_id: int | None = None,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> Location:
    """
    Change a location and return it.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none.
    :raises WrongFieldError: if it is to belong to an account that does not exist.
    :raises InUseError: if it is to belong to another account and has hosts.
    :raises sqlalchemy.exc.IntegrityError: if the account has a location of that address.
    """
    before = location(connection, location_id=location_id, account_id=account_id)
    if changes.get("user", before.user) != before.user:
        require_account(connection, changes["user"])
        _require_no_hosts(connection, location_id, "cannot go to another account")
    if changes:
        connection.execute(
            sa.update(locations)
            .where(locations.c.id == location_id)
            .values({_COLUMN_OF[name]: changes[name] for name in changes})
        )
    after = location(connection, location_id=location_id)
    audit.record_change(
        connection,
        by=by,
        subject=f"locations/{location_id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def remove_location(
    connection: sa.Connection,
    *,
    location_id: int,
    account_id: int | None = None,
    by: int | None,
    now: int,
) -> None:
    """
    Remove a location that has no hosts and never had, with its solar arrays.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none.
    :raises InUseError: if it has hosts, archived ones included.
    """
    before = location(connection, location_id=location_id, account_id=account_id)
    _require_no_hosts(connection, location_id, "cannot be removed")
    connection.execute(sa.delete(solar_arrays).where(solar_arrays.c.location_id == location_id))
    connection.execute(sa.delete(locations).where(locations.c.id == location_id))
    audit.record(
        connection,
        by=by,
        action="remove",
        subject=f"locations/{location_id}",
        before=before,
        now=now,
    )


def require_account(connection: sa.Connection, account_id: int) -> None:
    """
    Make sure that the account exists.

    :raises WrongFieldError: of the field `user`, if it does not.
    """
    if connection.execute(sa.select(accounts.c.id).where(accounts.c.id == account_id)).first():
        return
    raise WrongFieldError("user", "is no user's id")


def _require_no_hosts(connection: sa.Connection, location_id: int, refusal: str) -> None:
    count = connection.execute(
        sa.select(sa.func.count()).where(hosts.c.location_id == location_id)
    ).scalar_one()
    if count:
        raise InUseError(f"location {location_id} {refusal}: it has or had {count} hosts")
