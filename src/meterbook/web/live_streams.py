"""
Live streams: every open page of this process is told what the database has new.

    pages ◄── queue each ── one look every two seconds for all of them ── database ── other workers

The database is what workers share, so a reading reaches a page whichever worker stored it. Nobody
watching: nobody looks. A stream ends when its session does, or may not see the meter any more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
import structlog
from litestar.response import ServerSentEventMessage

from meterbook.domain.local_days import utc_text
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.fresh_readings import (
    open_by_channel,
    polls_by_host,
    regions_summed_at,
    still_seen,
)
from meterbook.registry.sessions import living_tokens
from meterbook.storage.database import Database

LOOK_EVERY_S = 2.0
HEARTBEAT_EVERY_S = 15.0  # proxies end what is quiet for a minute
_PAGE_LOADS_S = 5  # between asking for a page and opening its stream
_QUEUE_MAX = 100  # a page that reads this slowly asks for all of it again
_log = structlog.get_logger()


class Watched(StrEnum):
    """What a page may be told of."""

    CHANNEL = "channel"
    """Its readings."""
    HOSTS = "hosts"
    """When they were polled."""
    REGIONS = "regions"
    """When their open days were summed."""


class Topic(NamedTuple):
    """What one page shows."""

    watched: Watched
    ids: tuple[int, ...] = ()
    """One channel, or the hosts of the page."""


REGIONS = Topic(Watched.REGIONS)
_Known = dict[int, tuple[int, int]]
"""Interval start, host or 0 to amount and when it came, UTC epoch milliseconds."""


class TooManyStreamsError(RuntimeError):
    """The account watches as many pages as one may."""


class _Stream:
    def __init__(self, *, topic: Topic, account_id: int, token_hash: str, since_ms: int) -> None:
        self.since_ms = since_ms
        self.topic = topic
        self.account_id = account_id
        self.token_hash = token_hash
        self.known: _Known | None = None
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
        self, *, topic: Topic, account_id: int, token_hash: str, resumed: bool
    ) -> AsyncIterator[ServerSentEventMessage]:
        """
        Return what is new of the topic from now on, until the session ends.

        :param resumed: the page was away: it is told to look at everything once.
        :raises TooManyStreamsError: if the account watches as much as it may.
        """
        mine = sum(stream.account_id == account_id for stream in self._streams)
        if mine >= self._per_account_max:
            raise TooManyStreamsError
        stream = _Stream(
            topic=topic,
            account_id=account_id,
            token_hash=token_hash,
            since_ms=(self._clock() - _PAGE_LOADS_S) * 1000,
        )
        stream.tell(
            ServerSentEventMessage(
                data=None,
                # Whoever comes back, to whichever process, names it and is told to look again.
                id=str(stream.since_ms),
                retry=int(LOOK_EVERY_S * 1000),
                comment="watching",
            )
        )
        if resumed:
            stream.tell(ServerSentEventMessage(event="refresh", data="{}"))
        self._streams.add(stream)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return self._messages(stream)

    def close(self) -> None:
        """Break every stream off, so that its page comes back, to another process."""
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
                    # Told that it ended, a page does not ask again: its session is over.
                    if not self._closed:
                        yield ServerSentEventMessage(event="end", data="{}")
                    return
                yield message
        finally:
            self._streams.discard(stream)

    async def _look(self) -> None:
        while self._streams and not self._closed:
            streams = list(self._streams)
            try:
                fresh, allowed = await asyncio.to_thread(self._ask, streams)
            except sa.exc.SQLAlchemyError as error:
                _log.warning("live streams wait for the database", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            for stream in streams:
                if stream in allowed:
                    _tell_what_is_new(stream, fresh[stream.topic])
                else:
                    stream.messages.put_nowait(None)
            await asyncio.sleep(LOOK_EVERY_S)

    def _ask(self, streams: list[_Stream]) -> tuple[dict[Topic, _Known], set[_Stream]]:
        now = self._clock()
        watching = {
            stream: (stream.account_id, stream.topic.ids[0])
            for stream in streams
            if stream.topic.watched is Watched.CHANNEL
        }
        with self._database.reading() as connection:
            fresh = _fresh(connection, {stream.topic for stream in streams}, now=now)
            living = living_tokens(
                connection,
                {stream.token_hash for stream in streams},
                now=now,
                session_idle_s=self._session_idle_s,
            )
            seen = still_seen(connection, {*watching.values()})
        return fresh, {
            stream
            for stream in streams
            if stream.token_hash in living and (stream not in watching or watching[stream] in seen)
        }


def _fresh(connection: sa.Connection, topics: set[Topic], *, now: int) -> dict[Topic, _Known]:
    ids: dict[Watched, set[int]] = {watched: set() for watched in Watched}
    for topic in topics:
        ids[topic.watched].update(topic.ids)
    readings = open_by_channel(connection, ids[Watched.CHANNEL], now=now)
    polls = polls_by_host(connection, ids[Watched.HOSTS])
    fresh: dict[Topic, _Known] = {}
    for topic in topics:
        if topic.watched is Watched.CHANNEL:
            fresh[topic] = readings[topic.ids[0]]
        elif topic.watched is Watched.HOSTS:
            fresh[topic] = {host: (0, polls[host]) for host in topic.ids if host in polls}
        else:
            fresh[topic] = {0: (0, regions_summed_at(connection) * 1000)}
    return fresh


def _tell_what_is_new(stream: _Stream, fresh: _Known) -> None:
    if stream.known is None:  # what came since the page was asked for may not be on it
        stream.known = {start: row for start, row in fresh.items() if row[1] <= stream.since_ms}
    for start in sorted(start for start in fresh if stream.known.get(start) != fresh[start]):
        stream.tell(_message(stream.topic.watched, start, *fresh[start]))
    stream.known = fresh


def _message(watched: Watched, key: int, amount: int, came_at_ms: int) -> ServerSentEventMessage:
    came_at = utc_text(came_at_ms // 1000)
    news: dict[str, object]
    match watched:
        case Watched.CHANNEL:
            event = "reading"
            news = {"starts_at": utc_text(key), "kWh": wh_to_kwh(amount), "received_at": came_at}
        case Watched.HOSTS:
            event, news = "poll", {"host": key, "polled_at": came_at}
        case Watched.REGIONS:
            event, news = "regions", {"as_of": came_at}
    return ServerSentEventMessage(event=event, data=_json(news), id=str(came_at_ms))


def _json(news: dict[str, object]) -> str:
    return msgspec.json.encode(news).decode()
