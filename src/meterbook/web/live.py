"""`/profile/{meterId}/live` and the dashboard's: server-sent events that move the open page."""

import asyncio
from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import TooManyRequestsException
from litestar.params import FromPath
from litestar.response import ServerSentEvent

from meterbook.access import Caller, book_of, visible_meter
from meterbook.registry.accounts import Account
from meterbook.registry.tokens import secret_hash
from meterbook.web.dashboard import PATH, STAFF
from meterbook.web.live_streams import REGIONS, LiveStreams, TooManyStreamsError

RETRY_AFTER_S = 60


@get("/profile/{meter_id:str}/live", include_in_schema=False)
async def meter_stream(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], meter_id: FromPath[str]
) -> ServerSentEvent:
    """Tell of each new reading of the meter."""
    account = caller.signed_in()
    channel_id = await asyncio.to_thread(_channel_id, request, account, meter_id)
    return _stream(request, caller, account, channel_id=channel_id)


@get(f"{PATH}/live", include_in_schema=False)
async def regions_stream(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> ServerSentEvent:
    """Tell when the regions' open days have been summed anew."""
    return _stream(request, caller, caller.with_role(*STAFF), channel_id=REGIONS)


def _channel_id(request: Request[Any, Any, Any], account: Account, meter_id: str) -> int:
    with book_of(request).database.reading() as connection:
        return visible_meter(connection, caller=account, written_id=meter_id).channel_id


def _stream(
    request: Request[Any, Any, Any], caller: Caller, account: Account, *, channel_id: int
) -> ServerSentEvent:
    streams: LiveStreams = request.app.state.live
    try:
        messages = streams.watch(
            channel_id=channel_id,
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
