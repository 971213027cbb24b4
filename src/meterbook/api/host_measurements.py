"""`/user/hosts/{id}/measurements`: what is read from a host."""

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from meterbook.access import Visit
from meterbook.api.wire import ItemId, Limit, MeasurementName, Offset
from meterbook.registry import host_measurements
from meterbook.registry.accounts import Account, Role
from meterbook.registry.host_measurements import HostMeasurement


class MeasurementNames(msgspec.Struct, frozen=True):
    """Measurements by name."""

    measurements: Annotated[list[MeasurementName], msgspec.Meta(min_length=1, max_length=500)]


@get(
    "/user/hosts/{host_id:int}/measurements",
    sync_to_thread=True,
    summary="Measurements assigned to a host",
)
def measurements_of_my_host(
    visit: NamedDependency[Visit], host_id: ItemId, limit: Limit = None, offset: Offset = 0
) -> list[HostMeasurement]:
    """List what is read from one of the caller's hosts; an admin may ask of any."""
    with visit.reading() as (connection, account):
        return host_measurements.measurements_of_host(
            connection, host_id=host_id, account_id=_owner(account), limit=limit, offset=offset
        )


@post(
    "/user/hosts/{host_id:int}/measurements",
    sync_to_thread=True,
    summary="Assign measurements to a host",
)
def assign_measurements(
    visit: NamedDependency[Visit], host_id: ItemId, data: JSONBody[MeasurementNames]
) -> list[HostMeasurement]:
    """Assign all of them or none; repeats are harmless."""
    with visit.writing() as (connection, account):
        return host_measurements.assign_measurements(
            connection,
            host_id=host_id,
            account_id=_owner(account),
            names=data.measurements,
            zone=visit.book.default_zone,
            by=account.id,
            now=visit.now,
        )


@delete(
    "/user/hosts/{host_id:int}/measurements",
    sync_to_thread=True,
    summary="Stop reading measurements of a host",
)
def unassign_measurements(
    visit: NamedDependency[Visit], host_id: ItemId, data: JSONBody[MeasurementNames]
) -> None:
    """Take the measurements away; what was read stays."""
    with visit.writing() as (connection, account):
        host_measurements.unassign_measurements(
            connection,
            host_id=host_id,
            account_id=_owner(account),
            names=data.measurements,
            by=account.id,
            now=visit.now,
        )


def _owner(account: Account) -> int | None:
    return None if account.role is Role.ADMIN else account.id
