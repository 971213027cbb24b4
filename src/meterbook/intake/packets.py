"""
`POST /meter`: the hot path, in front of the framework.

One packet a request, answered after its commit. Everything here runs once a packet, tens of
thousands of times a second: no framework, no second look at what is right, and on the lane of
`serving/connections.py` not even a task.
"""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec
import structlog

from meterbook.domain.local_days import utc_text
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.domain.units import wh_to_kwh
from meterbook.intake import bodies
from meterbook.intake.bodies import (
    BodyTooLargeError,
    BrokenBodyError,
    MediaTypeError,
    SlowBodyError,
    read_body,
)
from meterbook.intake.group_commit import GroupCommit, QueueFullError
from meterbook.intake.packet_fields import PacketFieldsError, PacketLimits, decode_packet
from meterbook.intake.recorder import PACKETS, Arrival, CannotStoreError, KeyRefused, Stored
from meterbook.intake.senders import KeyRequiredError, Senders
from meterbook.problems import (
    Answer,
    Send,
    problem,
    problem_answer,
    send_answer,
    send_problem,
)

BODY_BYTES_MAX = 16_384  # a packet has 80; room for what a meter may add
RETRY_AFTER_S = 5

_log = structlog.get_logger()
_HEADERS = ((b"content-type", b"application/json"),)


class _MustWaitError(Exception):
    """Too many wrong keys came from there."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Sender(msgspec.Struct, frozen=True):
    """Who sends packets with certain headers from a certain address."""

    scope: dict[str, Any]
    key_hash: str | None = None
    """SHA-256 of the key; None: none is needed."""
    refusal: KeyRequiredError | MediaTypeError | None = None
    """Why no packet of theirs is taken."""


class PacketDoor:
    """What is behind `POST /meter`: an ASGI application, and the lane of connections."""

    body_bytes_max = BODY_BYTES_MAX

    def __init__(
        self,
        commits: GroupCommit[Arrival, Stored | KeyRefused],
        *,
        senders: Senders,
        limits: PacketLimits,
        is_closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commits = commits
        self._senders = senders
        self._limits = limits
        self.is_closing = is_closing
        self.body_s_max = bodies.PATIENCE_S

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            headers = {b"allow": b"POST"}
            await send_problem(send, problem(405, "POST a packet here"), headers=headers)
            return
        headers = dict(scope["headers"])
        try:
            sender = self.sender_of(scope, headers)
            self._require_welcome(sender, now=time.time())
            body = await read_body(headers, receive, bytes_max=BODY_BYTES_MAX)
            arrival = self._arrival(sender, body, now=time.time())
            answer = self._answer(scope, arrival, await self._commits.add(arrival))
        except Exception as error:  # noqa: BLE001 each has its answer
            answer = self._refusal(scope, error)
        await send_answer(send, answer)

    def sender_of(self, scope: dict[str, Any], headers: Mapping[bytes, bytes]) -> Sender:
        """Return who sends a packet with these headers; it holds for all packets with them."""
        try:
            key_hash = self._senders.key_hash_of(scope, headers)
            require_json(headers)
        except (KeyRequiredError, MediaTypeError) as error:
            return Sender(scope, refusal=error)
        return Sender(scope, key_hash)

    def take(self, sender: Sender, body: bytes, answer: Callable[[Answer], None]) -> None:
        """Call `answer` once, when the packet is on disk or refused: the lane's way."""
        try:
            now = time.time()
            self._require_welcome(sender, now=now)
            arrival = self._arrival(sender, body, now=now)
            self._commits.hand(arrival, partial(self._tell, sender, arrival, answer))
        except Exception as error:  # noqa: BLE001 each has its answer
            answer(self._refusal(sender.scope, error))

    def _tell(
        self,
        sender: Sender,
        arrival: Arrival,
        answer: Callable[[Answer], None],
        recorded: Stored | KeyRefused | Exception,
    ) -> None:
        answer(self._answer(sender.scope, arrival, recorded))

    def _require_welcome(self, sender: Sender, *, now: float) -> None:
        wait_s = self._senders.must_wait_s(sender.scope, now=now)
        if wait_s:
            raise _MustWaitError(wait_s)
        if sender.refusal is not None:
            raise sender.refusal.with_traceback(None)  # where it was raised before is no news

    def _arrival(self, sender: Sender, body: bytes, *, now: float) -> Arrival:
        return Arrival(decode_packet(body, now=int(now), limits=self._limits), sender.key_hash)

    def _answer(
        self, scope: dict[str, Any], arrival: Arrival, recorded: Stored | KeyRefused | Exception
    ) -> Answer:
        if isinstance(recorded, Stored):
            period = _period_text(recorded.starts_at)
            packet = arrival.packet
            kwh = wh_to_kwh(packet.energy_wh)
            body = f'{{"id":{packet.meter_id},{period},"reading_kWh":{kwh!r}}}'.encode()
            return Answer(201, _HEADERS, body)
        if isinstance(recorded, KeyRefused):
            return self._refusal(scope, KeyRequiredError("not the key of this meter"))
        return self._refusal(scope, recorded)

    def _refusal(self, scope: dict[str, Any], error: Exception) -> Answer:
        headers: dict[bytes, bytes] = {}
        match error:
            case PacketFieldsError():
                outcome = "rejected"
                document = problem(400, "the packet is not right", errors=error.errors)
            case KeyRequiredError():
                self._senders.refused(scope, now=time.time())
                outcome, document = "unauthorized", problem(401, str(error))
                headers[b"www-authenticate"] = b"Bearer"
            case _MustWaitError():
                outcome, document = "throttled", problem(429, "too many wrong keys")
                headers[b"retry-after"] = b"%d" % error.wait_s
            case BodyTooLargeError():
                outcome, document = "rejected", problem(413, str(error))
            case SlowBodyError():
                outcome, document = "not_stored", problem(408, str(error))
            case BrokenBodyError():
                outcome, document = "rejected", problem(400, str(error))
            case MediaTypeError():
                outcome, document = "rejected", problem(415, str(error))
            case QueueFullError() | CannotStoreError():
                outcome = "not_stored"
                document = problem(503, "the packet was not stored; send it again")
                headers[b"retry-after"] = b"%d" % RETRY_AFTER_S
            case _:
                _log.error("packet not stored", error=type(error).__name__)
                outcome = "not_stored"
                document = problem(503, "the packet was not stored; send it again")
                headers[b"retry-after"] = b"%d" % RETRY_AFTER_S
        PACKETS.labels(outcome).inc()
        return problem_answer(document, headers=headers)


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """
    Make sure the request does not say it is something else than JSON.

    :raises MediaTypeError: if it does.
    """
    kind = headers.get(b"content-type")
    if kind is not None and b"json" not in kind.lower():
        raise MediaTypeError("send application/json")


@lru_cache(maxsize=1024)
def _period_text(starts_at: int) -> str:
    ends_at = starts_at + HALF_HOUR_S
    return f'"starts_at":"{utc_text(starts_at)}","ends_at":"{utc_text(ends_at)}"'
