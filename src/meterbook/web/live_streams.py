"""
Live streams: every open page of this process is told what the database has new.

    pages ◄── queue each ── one look every two seconds for all of them ── database ── other workers

The database is what workers share, so a reading reaches a page whichever worker stored it. Nobody
watching: nobody looks. A stream ends when its session does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import sqlalchemy as sa
import structlog
from litestar.response import ServerSentEventMessage

from meterbook.domain.local_days import utc_text
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.fresh_readings import Fresh, open_by_channel, regions_summed_at
from meterbook.registry.sessions import living_tokens
from meterbook.storage.database import Database

LOOK_EVERY_S = 2.0
HEARTBEAT_EVERY_S = 15.0  # proxies end what is quiet for a minute
_PAGE_LOADS_S = 5  # between asking for a page and opening its stream
_QUEUE_MAX = 100  # a page that reads this slowly asks for all of it again
REGIONS = 0
"""The channel that stands for the sums of regions; no channel has this id."""
_log = structlog.get_logger()


class TooManyStreamsError(RuntimeError):
    """The account watches as many pages as one may."""


class _Stream:
    def __init__(self, *, channel_id: int, account_id: int, token_hash: str, since_ms: int) -> None:
        self.since_ms = since_ms
        self.channel_id = channel_id
        self.account_id = account_id
        self.token_hash = token_hash
        self.known: dict[int, tuple[int, int]] | None = None
        self.messages: asyncio.Queue[ServerSentEventMessage | None] = asyncio.Queue()

    def tell(self, message: ServerSentEventMessage) -> None:
        if self.messages.qsize() >= _QUEUE_MAX:
            while not self.messages.empty():
                self.messages.get_nowait()
            message = ServerSentEventMessage(event="refresh", data="{}")
        self.messages.put_nowait(message)


class LiveStreams:
    """The open pages of this process."""

    def __init__(
        self,
        database: Database,
        *,
        per_account_max: int,
        session_idle_s: int,
        clock: Callable[[], int],
    ) -> None:
        """Prepare; nothing is asked before somebody watches."""
        self._database = database
        self._per_account_max = per_account_max
        self._session_idle_s = session_idle_s
        self._clock = clock
        self._streams: set[_Stream] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def watch(
        self, *, channel_id: int, account_id: int, token_hash: str, resumed: bool
    ) -> AsyncIterator[ServerSentEventMessage]:
        """
        Return what is new of the channel from now on, until the session ends.

        :param channel_id: or REGIONS.
        :param resumed: the page was away: it is told to look at everything once.
        :raises TooManyStreamsError: if the account watches as much as it may.
        """
        mine = sum(stream.account_id == account_id for stream in self._streams)
        if mine >= self._per_account_max:
            raise TooManyStreamsError
        stream = _Stream(
            channel_id=channel_id,
            account_id=account_id,
            token_hash=token_hash,
            since_ms=(self._clock() - _PAGE_LOADS_S) * 1000,
        )
        stream.tell(
            ServerSentEventMessage(data=None, retry=int(LOOK_EVERY_S * 1000), comment="watching")
        )
        if resumed:
            stream.tell(ServerSentEventMessage(event="refresh", data="{}"))
        self._streams.add(stream)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return self._messages(stream)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for stream in self._streams:
            stream.messages.put_nowait(None)
        if self._looking is not None:
            self._looking.cancel()

    async def _messages(self, stream: _Stream) -> AsyncIterator[ServerSentEventMessage]:
        try:
            while not self._closed:
                try:
                    message = await asyncio.wait_for(stream.messages.get(), HEARTBEAT_EVERY_S)
                except TimeoutError:
                    yield ServerSentEventMessage(data=None, comment="still here")
                    continue
                if message is None:
                    yield ServerSentEventMessage(event="end", data="{}")
                    return
                yield message
        finally:
            self._streams.discard(stream)

    async def _look(self) -> None:
        while self._streams and not self._closed:
            streams = list(self._streams)
            try:
                fresh, living = await asyncio.to_thread(self._ask, streams)
            except sa.exc.SQLAlchemyError as error:
                _log.warning("live streams wait for the database", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            for stream in streams:
                if stream.token_hash in living:
                    _tell_what_is_new(stream, fresh[stream.channel_id])
                else:
                    stream.messages.put_nowait(None)
            await asyncio.sleep(LOOK_EVERY_S)

    def _ask(self, streams: list[_Stream]) -> tuple[Fresh, set[str]]:
        now = self._clock()
        channel_ids = {stream.channel_id for stream in streams}
        with self._database.reading() as connection:
            fresh = open_by_channel(connection, channel_ids - {REGIONS}, now=now)
            if REGIONS in channel_ids:
                summed_at = regions_summed_at(connection)
                fresh[REGIONS] = {0: (0, summed_at * 1000)}
            living = living_tokens(
                connection,
                {stream.token_hash for stream in streams},
                now=now,
                session_idle_s=self._session_idle_s,
            )
        return fresh, living


def _tell_what_is_new(stream: _Stream, fresh: dict[int, tuple[int, int]]) -> None:
    if stream.known is None:  # what came since the page was asked for may not be on it
        stream.known = {start: row for start, row in fresh.items() if row[1] <= stream.since_ms}
    for start in sorted(start for start in fresh if stream.known.get(start) != fresh[start]):
        stream.tell(_message(stream.channel_id, start, *fresh[start]))
    stream.known = fresh


def _message(
    channel_id: int, starts_at: int, amount: int, received_at_ms: int
) -> ServerSentEventMessage:
    if channel_id == REGIONS:
        return ServerSentEventMessage(
            event="regions",
            data=_json({"as_of": utc_text(received_at_ms // 1000)}),
            id=str(received_at_ms),
        )
    news = {
        "starts_at": utc_text(starts_at),
        "kWh": wh_to_kwh(amount),
        "received_at": utc_text(received_at_ms // 1000),
    }
    return ServerSentEventMessage(event="reading", data=_json(news), id=str(received_at_ms))


def _json(news: dict[str, object]) -> str:
    return msgspec.json.encode(news).decode()
