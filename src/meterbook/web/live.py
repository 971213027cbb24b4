"""`.../live` of meters, sites, hosts and the dashboard: server-sent events for the open page."""

import asyncio
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, TooManyRequestsException
from litestar.params import FromPath, FromQuery, PathParameter
from litestar.response import ServerSentEvent

from meterbook.access import Caller, book_of, visible_meter
from meterbook.api.wire import Flow
from meterbook.queries.meter_places import export_place
from meterbook.queries.site_list import listed_sites
from meterbook.registry.accounts import Account
from meterbook.registry.hosts import host
from meterbook.registry.locations import location
from meterbook.registry.tokens import secret_hash
from meterbook.web.dashboard import PATH, STAFF
from meterbook.web.hosts import ID_MAX
from meterbook.web.live_streams import REGIONS, LiveStreams, TooManyStreamsError, Topic, Watched

RETRY_AFTER_S = 60
ThingId = Annotated[int, PathParameter(ge=1, le=ID_MAX)]


@get("/profile/{meter_id:str}/live", include_in_schema=False)
async def meter_stream(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    meter_id: FromPath[str],
    flow: FromQuery[Flow] = Flow.IMPORT,
) -> ServerSentEvent:
    """Tell of each new reading of the meter."""
    account = caller.signed_in()
    channel_id = await asyncio.to_thread(_channel_id, request, account, meter_id, flow)
    return _stream(request, caller, account, Topic(Watched.CHANNEL, (channel_id,)))


@get("/sites/{location_id:int}/live", include_in_schema=False)
async def site_stream(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], location_id: ThingId
) -> ServerSentEvent:
    """Tell of each poll of the site's hosts."""
    account = caller.signed_in()
    hosts = await asyncio.to_thread(_hosts_of_site, request, account, location_id)
    return _stream(request, caller, account, Topic(Watched.HOSTS, hosts))


@get("/hosts/{host_id:int}/live", include_in_schema=False)
async def host_stream(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], host_id: ThingId
) -> ServerSentEvent:
    """Tell of each poll of the host."""
    account = caller.signed_in()
    await asyncio.to_thread(_must_see_host, request, account, host_id)
    return _stream(request, caller, account, Topic(Watched.HOSTS, (host_id,)))


@get(f"{PATH}/live", include_in_schema=False)
async def regions_stream(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> ServerSentEvent:
    """Tell when the regions' open days have been summed anew."""
    return _stream(request, caller, caller.with_role(*STAFF), REGIONS)


def _channel_id(
    request: Request[Any, Any, Any], account: Account, meter_id: str, flow: Flow
) -> int:
    with book_of(request).database.reading() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        if flow is Flow.IMPORT:
            return place.channel_id
        exporting = export_place(connection, place=place)
    if exporting is None:
        raise NotFoundException("this meter exports nothing")
    return exporting.channel_id


def _hosts_of_site(
    request: Request[Any, Any, Any], account: Account, location_id: int
) -> tuple[int, ...]:
    owner = None if account.sees_every_meter else account.id
    with book_of(request).database.reading() as connection:
        location(connection, location_id=location_id, account_id=owner)
        sites = listed_sites(connection, account_id=None, location_id=location_id)
    return tuple(one.host for site in sites for one in site.hosts)


def _must_see_host(request: Request[Any, Any, Any], account: Account, host_id: int) -> None:
    owner = None if account.sees_every_meter else account.id
    with book_of(request).database.reading() as connection:
        host(connection, host_id=host_id, account_id=owner)


def _stream(
    request: Request[Any, Any, Any], caller: Caller, account: Account, topic: Topic
) -> ServerSentEvent:
    streams: LiveStreams = request.app.state.live
    try:
        messages = streams.watch(
            topic=topic,
            account_id=account.id,
            token_hash=secret_hash(caller.secret or ""),
            resumed="last-event-id" in request.headers,
        )
    except TooManyStreamsError:
        raise TooManyRequestsException(
            "too many pages of this account are kept up to date already",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        ) from None
    # A proxy that gathers answers would hold the news back.
    return ServerSentEvent(messages, headers={"X-Accel-Buffering": "no"})
