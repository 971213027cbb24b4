"""`/user/locations/{id}/energy` and `/user/locations/{id}/arrays`."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.host_readings import EarliestDay, EndDay
from meterbook.api.wire import ItemId, Text, given
from meterbook.domain.periods import Resolution, asked_period
from meterbook.queries.site_report import SiteReport, site_report, site_zone
from meterbook.registry import solar_arrays
from meterbook.registry.accounts import Account, Role
from meterbook.registry.locations import location
from meterbook.registry.solar_arrays import LocationArray

PeakW = Annotated[int, msgspec.Meta(ge=1, le=2_000_000_000)]
Tilt = Annotated[float, msgspec.Meta(ge=0, le=90)]
Azimuth = Annotated[float, msgspec.Meta(ge=0, le=360)]


class NewArray(msgspec.Struct, frozen=True, rename={"peak_w": "peak_W"}):
    """A solar array to be."""

    name: Text
    peak_w: PeakW
    tilt_deg: Tilt
    azimuth_deg: Azimuth


class ArrayChange(msgspec.Struct, frozen=True, rename={"peak_w": "peak_W"}):
    """What is to be different."""

    name: Text | UnsetType = UNSET
    peak_w: PeakW | UnsetType = UNSET
    tilt_deg: Tilt | UnsetType = UNSET
    azimuth_deg: Azimuth | UnsetType = UNSET


@get("/user/locations/{location_id:int}/energy", sync_to_thread=True, summary="Energy of a site")
def energy_of_my_location(
    visit: NamedDependency[Visit],
    location_id: ItemId,
    period: FromQuery[str] = "",
    first_day: EarliestDay = None,
    end_day: EndDay = None,
    resolution: FromQuery[Resolution | None] = None,
) -> SiteReport:
    """Answer with production, import, export, their shares, and how the solar arrays did."""
    with visit.reading() as (connection, account):
        location(connection, location_id=location_id, account_id=_seen_by(account))
        zone_name = visit.book.default_zone
        zone = site_zone(connection, location_id=location_id, default_zone=zone_name)
        return site_report(
            connection,
            location_id=location_id,
            period=asked_period(period, first_day, end_day, now=visit.now, zone=zone),
            resolution=resolution,
            default_zone=zone_name,
            now=visit.now,
        )


@get("/user/locations/{location_id:int}/arrays", sync_to_thread=True, summary="Solar arrays")
def arrays_of_my_location(
    visit: NamedDependency[Visit], location_id: ItemId
) -> list[LocationArray]:
    """List the solar arrays of a location."""
    with visit.reading() as (connection, account):
        return solar_arrays.arrays_of_location(
            connection, location_id=location_id, account_id=_seen_by(account)
        )


@post("/user/locations/{location_id:int}/arrays", sync_to_thread=True, summary="Add a solar array")
def add_array(
    visit: NamedDependency[Visit], location_id: ItemId, data: JSONBody[NewArray]
) -> LocationArray:
    """Add modules that face one way."""
    with visit.writing() as (connection, account):
        return solar_arrays.add_array(
            connection,
            location_id=location_id,
            account_id=_owner(account),
            fields=given(data),
            by=account.id,
            now=visit.now,
        )


@patch(
    "/user/locations/{location_id:int}/arrays/{array_id:int}",
    sync_to_thread=True,
    summary="Change a solar array",
)
def change_array(
    visit: NamedDependency[Visit],
    location_id: ItemId,
    array_id: ItemId,
    data: JSONBody[ArrayChange],
) -> LocationArray:
    """Change one solar array."""
    with visit.writing() as (connection, account):
        return solar_arrays.change_array(
            connection,
            location_id=location_id,
            array_id=array_id,
            account_id=_owner(account),
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@delete(
    "/user/locations/{location_id:int}/arrays/{array_id:int}",
    sync_to_thread=True,
    summary="Remove a solar array",
)
def remove_array(visit: NamedDependency[Visit], location_id: ItemId, array_id: ItemId) -> None:
    """Remove one solar array."""
    with visit.writing() as (connection, account):
        solar_arrays.remove_array(
            connection,
            location_id=location_id,
            array_id=array_id,
            account_id=_owner(account),
            by=account.id,
            now=visit.now,
        )


def _seen_by(account: Account) -> int | None:
    return None if account.sees_every_meter else account.id


def _owner(account: Account) -> int | None:
    return None if account.role is Role.ADMIN else account.id
