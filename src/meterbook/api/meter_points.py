"""`/admin/meter-points`, unclaimed meters, their keys, and conflicting readings."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import ID_MAX, Id, ItemId, Limit, MeterId, Offset, Text, given
from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.queries.conflicts import Conflict, conflicts
from meterbook.registry import meter_points
from meterbook.registry.meter_keys import give_meter_key, take_meter_key
from meterbook.registry.meter_points import MeterPoint

PacketMeterId = Annotated[int, PathParameter(ge=1, le=METER_ID_MAX)]
CONFLICTS_MAX = 1_000  # each one asks both books for the value that counts


class MeterClaim(msgspec.Struct, frozen=True):
    """A meter and whose it is to be."""

    meter_id: MeterId
    user: Id
    name: Text | UnsetType | None = UNSET
    region: Text | UnsetType | None = UNSET
    zone: Text | UnsetType = UNSET


class MeterPointChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    user: Id | UnsetType | None = UNSET
    name: Text | UnsetType | None = UNSET
    region: Text | UnsetType | None = UNSET
    zone: Text | UnsetType = UNSET


class MeterKey(msgspec.Struct, frozen=True):
    """A meter's key, shown this once."""

    meter_id: int
    key: str


@get("/admin/unclaimed-meters", sync_to_thread=True, summary="Meters nobody has claimed")
def unclaimed_meters(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[MeterPoint]:
    """List meters that send packets and belong to nobody."""
    with visit.reading() as (connection, _):
        return meter_points.meter_points_with_meters(
            connection, unclaimed=True, limit=limit, offset=offset
        )


@get("/admin/meter-points", sync_to_thread=True, summary="All meter points of packet meters")
def all_meter_points(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[MeterPoint]:
    """List where packets are kept, and whose they are."""
    with visit.reading() as (connection, _):
        return meter_points.meter_points_with_meters(connection, limit=limit, offset=offset)


@post("/admin/meter-points", sync_to_thread=True, summary="Claim a meter for a user")
def claim_meter(visit: NamedDependency[Visit], data: JSONBody[MeterClaim]) -> MeterPoint:
    """Give an unclaimed meter, or one not seen yet, to a user."""
    fields = given(data)
    with visit.writing() as (connection, account):
        return meter_points.claim_meter(
            connection,
            meter_id=fields.pop("meter_id"),
            fields=fields,
            default_zone=visit.book.default_zone,
            by=account.id,
            now=visit.now,
        )


@patch("/admin/meter-points/{point_id:int}", sync_to_thread=True, summary="Change a meter point")
def change_meter_point(
    visit: NamedDependency[Visit], point_id: ItemId, data: JSONBody[MeterPointChange]
) -> MeterPoint:
    """Change whose it is, its name, its region, or its zone while no day is closed."""
    with visit.writing() as (connection, account):
        return meter_points.change_meter_point(
            connection,
            meter_point_id=point_id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@post("/admin/packet-meters/{meter_id:int}/key", sync_to_thread=True, summary="Give a meter a key")
def give_key(visit: NamedDependency[Visit], meter_id: PacketMeterId) -> MeterKey:
    """Answer with a new key, this once; packets of the meter must carry it from now on."""
    with visit.writing() as (connection, account):
        key = give_meter_key(connection, meter_id=meter_id, by=account.id, now=visit.now)
    return MeterKey(meter_id, key)


@delete(
    "/admin/packet-meters/{meter_id:int}/key", sync_to_thread=True, summary="Take a meter's key"
)
def take_key(visit: NamedDependency[Visit], meter_id: PacketMeterId) -> None:
    """Take the key away: packets are accepted from trusted networks only again."""
    with visit.writing() as (connection, account):
        take_meter_key(connection, meter_id=meter_id, by=account.id, now=visit.now)


@get("/admin/conflicts", sync_to_thread=True, summary="Readings that were replaced")
def conflicting_readings(
    visit: NamedDependency[Visit],
    limit: Annotated[int, QueryParameter(ge=1, le=CONFLICTS_MAX)] = 100,
    offset: Annotated[int, QueryParameter(ge=0, le=ID_MAX)] = 0,
) -> list[Conflict]:
    """List values that a different one took the place of, newest first."""
    with visit.reading() as (connection, _):
        return conflicts(connection, limit=limit, offset=offset)
