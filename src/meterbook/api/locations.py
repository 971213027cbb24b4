"""`/user/locations` and `/admin/locations`."""

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import Coordinate, Id, ItemId, Limit, Offset, Text, given
from meterbook.registry import locations
from meterbook.registry.locations import Location


class NewLocation(msgspec.Struct, frozen=True):
    """A location to be."""

    user: Id
    street: Text
    number: Text
    city: Text
    zip_code: Text
    coord_x: Coordinate | None = None
    coord_y: Coordinate | None = None


class LocationChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    user: Id | UnsetType = UNSET
    street: Text | UnsetType = UNSET
    number: Text | UnsetType = UNSET
    city: Text | UnsetType = UNSET
    zip_code: Text | UnsetType = UNSET
    coord_x: Coordinate | UnsetType | None = UNSET
    coord_y: Coordinate | UnsetType | None = UNSET


@get("/user/locations", sync_to_thread=True, summary="My locations")
def my_locations(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[Location]:
    """List the caller's locations."""
    with visit.reading() as (connection, account):
        return locations.locations_of(connection, account_id=account.id, limit=limit, offset=offset)


@post("/user/locations", sync_to_thread=True, summary="Add a location of mine")
def add_my_location(visit: NamedDependency[Visit], data: JSONBody[NewLocation]) -> Location:
    """Add a location; `user` must be the caller."""
    with visit.writing() as (connection, account):
        _require_own(data.user, account.id)
        return locations.add_location(connection, fields=given(data), by=account.id, now=visit.now)


@get("/user/locations/{location_id:int}", sync_to_thread=True, summary="A location of mine")
def my_location(visit: NamedDependency[Visit], location_id: ItemId) -> Location:
    """Answer with one of the caller's locations."""
    with visit.reading() as (connection, account):
        return locations.location(connection, location_id=location_id, account_id=account.id)


@patch("/user/locations/{location_id:int}", sync_to_thread=True, summary="Change my location")
def change_my_location(
    visit: NamedDependency[Visit], location_id: ItemId, data: JSONBody[LocationChange]
) -> Location:
    """Change one of the caller's locations; `user` must stay the caller."""
    with visit.writing() as (connection, account):
        locations.location(connection, location_id=location_id, account_id=account.id)
        _require_own(data.user, account.id)
        return locations.change_location(
            connection,
            location_id=location_id,
            account_id=account.id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@delete("/user/locations/{location_id:int}", sync_to_thread=True, summary="Remove my location")
def remove_my_location(visit: NamedDependency[Visit], location_id: ItemId) -> None:
    """Remove one of the caller's locations, if it has no hosts."""
    with visit.writing() as (connection, account):
        locations.remove_location(
            connection,
            location_id=location_id,
            account_id=account.id,
            by=account.id,
            now=visit.now,
        )


@get("/admin/locations", sync_to_thread=True, summary="All locations")
def all_locations(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[Location]:
    """List everybody's locations."""
    with visit.reading() as (connection, _):
        return locations.locations_of(connection, limit=limit, offset=offset)


@post("/admin/locations", sync_to_thread=True, summary="Add a location")
def add_location(visit: NamedDependency[Visit], data: JSONBody[NewLocation]) -> Location:
    """Add a location of any user."""
    with visit.writing() as (connection, account):
        return locations.add_location(connection, fields=given(data), by=account.id, now=visit.now)


@get("/admin/locations/{location_id:int}", sync_to_thread=True, summary="A location")
def location(visit: NamedDependency[Visit], location_id: ItemId) -> Location:
    """Answer with one location."""
    with visit.reading() as (connection, _):
        return locations.location(connection, location_id=location_id)


@patch("/admin/locations/{location_id:int}", sync_to_thread=True, summary="Change a location")
def change_location(
    visit: NamedDependency[Visit], location_id: ItemId, data: JSONBody[LocationChange]
) -> Location:
    """Change one location."""
    with visit.writing() as (connection, account):
        return locations.change_location(
            connection,
            location_id=location_id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@delete("/admin/locations/{location_id:int}", sync_to_thread=True, summary="Remove a location")
def remove_location(visit: NamedDependency[Visit], location_id: ItemId) -> None:
    """Remove one location, if it has no hosts."""
    with visit.writing() as (connection, account):
        locations.remove_location(connection, location_id=location_id, by=account.id, now=visit.now)


def _require_own(user: int | UnsetType, account_id: int) -> None:
    if user not in {UNSET, account_id}:
        raise PermissionDeniedException("user must be yourself")
