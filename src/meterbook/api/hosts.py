"""`/user/hosts` and `/admin/hosts`."""

import asyncio
from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import Id, ItemId, Limit, Offset, TextOrNone, given
from meterbook.domain.host_addresses import HOST_CHARACTERS_MAX
from meterbook.domain.host_probes import HostProbe
from meterbook.registry import hosts
from meterbook.registry.hosts import POLL_S_MAX, POLL_S_MIN, Host
from meterbook.registry.poll_plans import PolledHost, whole_host
from meterbook.registry.sunspec_layouts import Discovery, SunSpecDevice, adopt_device

Address = Annotated[
    str, msgspec.Meta(min_length=1, max_length=HOST_CHARACTERS_MAX, examples=["127.0.0.1"])
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
PollSeconds = Annotated[int, msgspec.Meta(ge=POLL_S_MIN, le=POLL_S_MAX, examples=[60])]
SlaveAddress = Annotated[int, msgspec.Meta(ge=0, le=247)]


class NewHost(msgspec.Struct, frozen=True):
    """A host to be."""

    ip: Address
    port: Port
    slave_address: SlaveAddress
    user: Id
    location: Id
    meter: Id
    description: TextOrNone = ""
    poll_seconds: PollSeconds | None = None


class HostChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    ip: Address | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    slave_address: SlaveAddress | UnsetType = UNSET
    description: TextOrNone | UnsetType = UNSET
    user: Id | UnsetType = UNSET
    location: Id | UnsetType = UNSET
    meter: Id | UnsetType = UNSET
    poll_seconds: PollSeconds | UnsetType | None = UNSET


@get("/user/hosts", sync_to_thread=True, summary="My hosts")
def my_hosts(visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0) -> list[Host]:
    """List the caller's hosts."""
    with visit.reading() as (connection, account):
        return hosts.hosts_of(connection, account_id=account.id, limit=limit, offset=offset)


@get("/admin/hosts", sync_to_thread=True, summary="All hosts")
def all_hosts(visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0) -> list[Host]:
    """List everybody's hosts, without archived ones."""
    with visit.reading() as (connection, _):
        return hosts.hosts_of(connection, limit=limit, offset=offset)


@post("/admin/hosts", sync_to_thread=True, summary="Add a host")
def add_host(visit: NamedDependency[Visit], data: JSONBody[NewHost]) -> Host:
    """Add a host; its location must belong to its user."""
    with visit.writing() as (connection, account):
        return hosts.add_host(connection, fields=given(data), by=account.id, now=visit.now)


@get("/admin/hosts/{host_id:int}", sync_to_thread=True, summary="A host")
def host(visit: NamedDependency[Visit], host_id: ItemId) -> Host:
    """Answer with one host."""
    with visit.reading() as (connection, _):
        return hosts.host(connection, host_id=host_id)


@patch("/admin/hosts/{host_id:int}", sync_to_thread=True, summary="Change a host")
def change_host(visit: NamedDependency[Visit], host_id: ItemId, data: JSONBody[HostChange]) -> Host:
    """Change one host."""
    with visit.writing() as (connection, account):
        return hosts.change_host(
            connection, host_id=host_id, changes=given(data), by=account.id, now=visit.now
        )


@delete("/admin/hosts/{host_id:int}", sync_to_thread=True, summary="Remove a host")
def remove_host(visit: NamedDependency[Visit], host_id: ItemId) -> None:
    """Remove one host; if it was ever read, its readings stay and it is archived."""
    with visit.writing() as (connection, account):
        hosts.remove_host(connection, host_id=host_id, by=account.id, now=visit.now)


@post("/admin/hosts/{host_id:int}/probe", status_code=HTTP_200_OK, summary="Read a host now")
async def probe_host(visit: NamedDependency[Visit], host_id: ItemId) -> HostProbe:
    """Read every register of the host's meter once, and show words and numbers as they came."""
    whole = await asyncio.to_thread(_whole_host, visit, host_id)
    return await visit.book.probe(whole)


@post(
    "/admin/hosts/{host_id:int}/discover",
    status_code=HTTP_200_OK,
    summary="Ask a SunSpec host what it has",
)
async def discover_host(visit: NamedDependency[Visit], host_id: ItemId) -> Discovery:
    """Find out what a SunSpec device has; its host is then of a meter with those measurements."""
    whole = await asyncio.to_thread(_whole_host, visit, host_id)
    device = await visit.book.discover(whole)
    return await asyncio.to_thread(_adopt, visit, host_id, device)


def _adopt(visit: Visit, host_id: int, device: SunSpecDevice) -> Discovery:
    with visit.writing() as (connection, account):
        return adopt_device(
            connection, host_id=host_id, device=device, by=account.id, now=visit.now
        )


def _whole_host(visit: Visit, host_id: int) -> PolledHost:
    with visit.reading() as (connection, _):
        return whole_host(connection, host_id=host_id)
