"""
The doors of devices over HTTP, plain ASGI in front of the framework.

    path ─► door: parses, answers in its own words ─► GroupCommit ─► pool

A door is one protocol. It is told what went wrong in our errors and says it in the words its
clients understand: emonHub waits for `ok`, Telegraf for 204.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from meterbook.inputs.deliveries import (
    Delivery,
    KeyUnknown,
    PoolFull,
    SamplesError,
    Taken,
)
from meterbook.inputs.deliveries import Outcome as DeliveryOutcome
from meterbook.intake.bodies import (
    BodyTooLargeError,
    BrokenBodyError,
    MediaTypeError,
    SlowBodyError,
)
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.senders import KeyRequiredError, Senders, key_hash
from meterbook.intake.wire.pool_recorder import DELIVERIES
from meterbook.intake.wire.requests import Reply, WireRequest, read_request, send_reply
from meterbook.problems import Send
from meterbook.registry.device_keys import labels_of_keys
from meterbook.storage.database import Database

BODY_BYTES_MAX = 32 * 1024 * 1024  # Telegraf's largest batches have a few
BIG_BODY_BYTES = 65_536  # from here on parsing would hold up everybody else: in a thread
BIG_BODIES_AT_ONCE = 2  # bounds the memory; more wait their turn
RETRY_AFTER_S = 5
_log = structlog.get_logger()


class PoolFullError(RuntimeError):
    """There are as many devices or inputs as there may be."""


class Door(Protocol):
    """One protocol."""

    scheme: str

    async def answer(self, request: WireRequest) -> Reply:
        """Answer a request; errors are for `refusal`."""

    def refusal(self, status: int, reason: str, error: Exception) -> Reply:
        """Say in the protocol's words why not."""


class Keeper:
    """What every door does with what it has parsed."""

    def __init__(
        self,
        commits: GroupCommit[Delivery, DeliveryOutcome],
        *,
        senders: Senders,
        database: Database,
    ) -> None:
        """Prepare; the database is only asked whether a key is one."""
        self._commits = commits
        self._senders = senders
        self._database = database
        self._big = asyncio.Semaphore(BIG_BODIES_AT_ONCE)

    def hash_of(self, request: WireRequest, key: str | None) -> str | None:
        """
        Return the hash of the key shown; None where none is needed.

        :raises KeyRequiredError: if there is no key and the network is not trusted.
        """
        if key:
            return key_hash(key)
        self._senders.require_trusted(request.scope, request.headers)
        return None

    async def parsed(
        self, body: bytes, parse: Callable[[], Any], *, key_hash: str | None = None
    ) -> Any:
        """
        Return what parse returns: at once, or in a thread where the body is big.

        :param key_hash: looked at before a big body is, so that nobody unknown keeps us busy.
        :raises KeyRequiredError: if it is of no key.
        """
        if len(body) < BIG_BODY_BYTES:
            return parse()
        async with self._big:
            if key_hash is not None and not await self.is_key(key_hash):
                raise KeyRequiredError("no such key")
            return await asyncio.to_thread(parse)

    async def is_key(self, key_hash: str) -> bool:
        """Say whether it is the hash of a living key."""

        def look() -> bool:
            with self._database.reading() as connection:
                return bool(labels_of_keys(connection, {key_hash}))

        return await asyncio.to_thread(look)

    async def keep(self, delivery: Delivery) -> Taken:
        """
        Return once the delivery is on disk.

        :raises KeyRequiredError: if its key is none.
        :raises PoolFullError: if there is no room.
        :raises CannotStoreError: if the database cannot; nothing was stored.
        :raises QueueFullError: if too many wait; nothing was stored.
        """
        match await self._commits.add(delivery):
            case KeyUnknown():
                raise KeyRequiredError("no such key")
            case PoolFull() as full:
                raise PoolFullError(full.reason)
            case taken:
                return taken


class WireDoor:
    """One door as an ASGI application."""

    def __init__(self, door: Door, *, senders: Senders) -> None:
        """Prepare."""
        self._door = door
        self._senders = senders

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one request."""
        if wait_s := self._senders.must_wait_s(scope, now=time.time()):
            error = KeyRequiredError("too many wrong keys")
            reply = self._door.refusal(429, str(error), error)
            await send_reply(send, _with(reply, {b"retry-after": b"%d" % wait_s}))
            return
        try:
            request = await read_request(scope, receive, bytes_max=BODY_BYTES_MAX)
            reply = await self._door.answer(request)
        except Exception as error:  # noqa: BLE001 each has its answer
            reply = self._refused(scope, error)
        await send_reply(send, reply, without_body=scope["method"] == "HEAD")

    def _refused(self, scope: dict[str, Any], error: Exception) -> Reply:
        headers: dict[bytes, bytes] = {}
        reason = str(error)
        match error:
            case KeyRequiredError():
                self._senders.refused(scope, now=time.time())
                status = 401
            case SlowBodyError():
                status = 408
            case SamplesError() | BrokenBodyError():
                status = 400
            case BodyTooLargeError():
                status = 413
            case MediaTypeError():
                status = 415
            case PoolFullError():
                status = 422
            case _:
                _log.error("samples not stored", error=type(error).__name__)
                status, reason = 503, "not stored; send it again"
                headers[b"retry-after"] = b"%d" % RETRY_AFTER_S
        outcome = {401: "unauthorized", 408: "not_stored", 503: "not_stored"}.get(
            status, "rejected"
        )
        DELIVERIES.labels(self._door.scheme, outcome).inc()
        return _with(self._door.refusal(status, reason, error), headers)


def _with(reply: Reply, headers: dict[bytes, bytes]) -> Reply:
    return Reply(reply.status, reply.body, reply.content_type, {**reply.headers, **headers})
