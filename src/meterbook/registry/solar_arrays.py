"""Solar arrays: what lies on a location's roof, and which way it faces."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.registry import audit
from meterbook.registry.locations import location
from meterbook.registry.refusals import NotThereError
from meterbook.storage.tables import solar_arrays


class LocationArray(msgspec.Struct, frozen=True, rename={"peak_w": "peak_W"}):
    """Modules of a location that face one way."""

    id: int
    location: int
    name: str
    peak_w: int
    """Rated power at standard test conditions."""
    tilt_deg: float
    """0 flat, 90 upright."""
    azimuth_deg: float
    """0 north, 90 east, 180 south, 270 west."""


_COLUMN_OF = {
    "id": solar_arrays.c.id,
    "location": solar_arrays.c.location_id,
    "name": solar_arrays.c.name,
    "peak_W": solar_arrays.c.peak_w,
    "tilt_deg": solar_arrays.c.tilt_deg,
    "azimuth_deg": solar_arrays.c.azimuth_deg,
}


def arrays_of_location(
    connection: sa.Connection, *, location_id: int, account_id: int | None = None
) -> list[LocationArray]:
    """
    Return the location's arrays, by id.

    :param account_id: whose the location must be; None: anybody's.
    :raises NotThereError: if there is no such location.
    """
    location(connection, location_id=location_id, account_id=account_id)
    wanted = sa.select(*_COLUMN_OF.values()).where(solar_arrays.c.location_id == location_id)
    return [LocationArray(*row) for row in connection.execute(wanted.order_by(solar_arrays.c.id))]


def add_array(
    connection: sa.Connection,
    *,
    location_id: int,
    account_id: int | None = None,
    fields: Mapping[str, Any],
    by: int | None,
    now: int,
) -> LocationArray:
    """
    Add an array to a location and return it.

    :param fields: named as in `LocationArray` on the wire, without `id` and `location`.
    :raises NotThereError: if there is no such location.
    :raises sqlalchemy.exc.IntegrityError: if the location has an array of that name.
    """
    location(connection, location_id=location_id, account_id=account_id)
    array_id = connection.execute(
        sa.insert(solar_arrays)
        .values(
            {_COLUMN_OF[name]: fields[name] for name in fields}
            | {"location_id": location_id, "created_at": now}
        )
        .returning(solar_arrays.c.id)
    ).scalar_one()
    added = _array(connection, location_id=location_id, array_id=array_id)
    _record(connection, "add", added.id, by=by, now=now, after=added)
    return added


def change_array(
    connection: sa.Connection,
    *,
    location_id: int,
    array_id: int,
    account_id: int | None = None,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> LocationArray:
    """
    Change an array and return it.

    :raises NotThereError: if there is none, or no such location.
    :raises sqlalchemy.exc.IntegrityError: as `add_array`.
    """
    location(connection, location_id=location_id, account_id=account_id)
    before = _array(connection, location_id=location_id, array_id=array_id)
    if changes:
        connection.execute(
            sa.update(solar_arrays)
            .where(solar_arrays.c.id == array_id)
            .values({_COLUMN_OF[name]: changes[name] for name in changes})
        )
    after = _array(connection, location_id=location_id, array_id=array_id)
    if after != before:
        _record(connection, "change", array_id, by=by, now=now, before=before, after=after)
    return after


def remove_array(
    connection: sa.Connection,
    *,
    location_id: int,
    array_id: int,
    account_id: int | None = None,
    by: int | None,
    now: int,
) -> None:
    """
    Remove an array.

    :raises NotThereError: if there is none, or no such location.
    """
    location(connection, location_id=location_id, account_id=account_id)
    before = _array(connection, location_id=location_id, array_id=array_id)
    connection.execute(sa.delete(solar_arrays).where(solar_arrays.c.id == array_id))
    _record(connection, "remove", array_id, by=by, now=now, before=before)


def _array(connection: sa.Connection, *, location_id: int, array_id: int) -> LocationArray:
    wanted = sa.select(*_COLUMN_OF.values()).where(
        solar_arrays.c.id == array_id, solar_arrays.c.location_id == location_id
    )
    row = connection.execute(wanted).first()
    if row is None:
        raise NotThereError("solar array")
    return LocationArray(*row)


def _record(
    connection: sa.Connection, action: str, array_id: int, *, by: int | None, now: int, **said: Any
) -> None:
    subject = f"solar-arrays/{array_id}"
    audit.record(connection, by=by, action=action, subject=subject, now=now, **said)
