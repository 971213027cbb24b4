"""
`POST /meter`: the hot path, plain ASGI in front of the framework.

One packet a request, answered after its commit. Everything here runs once a packet, tens of
thousands of times a second: no framework, no second look at what is right.
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog

from meterbook.domain.local_days import utc_text
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.domain.units import wh_to_kwh
from meterbook.intake.bodies import (
    BodyTooLargeError,
    BrokenBodyError,
    MediaTypeError,
    SlowBodyError,
    read_body,
)
from meterbook.intake.group_commit import GroupCommit, QueueFullError
from meterbook.intake.packet_fields import PacketFieldsError, PacketLimits, decode_packet
from meterbook.intake.recorder import PACKETS, Answer, Arrival, CannotStoreError, KeyRefused
from meterbook.intake.senders import KeyRequiredError, Senders
from meterbook.problems import Send, problem, send_problem

BODY_BYTES_MAX = 16_384  # a packet has 80; room for what a meter may add
RETRY_AFTER_S = 5

_log = structlog.get_logger()
_HEADERS = [(b"content-type", b"application/json")]


class PacketDoor:
    """The ASGI application behind `POST /meter`."""

    def __init__(
        self,
        commits: GroupCommit[Arrival, Answer],
        *,
        senders: Senders,
        limits: PacketLimits,
    ) -> None:
        self._commits = commits
        self._senders = senders
        self._limits = limits

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            headers = {b"allow": b"POST"}
            await send_problem(send, problem(405, "POST a packet here"), headers=headers)
            return
        now = time.time()
        wait_s = self._senders.must_wait_s(scope, now=now)
        if wait_s:
            PACKETS.labels("throttled").inc()
            headers = {b"retry-after": b"%d" % wait_s}
            await send_problem(send, problem(429, "too many wrong keys"), headers=headers)
            return
        try:
            headers = dict(scope["headers"])
            key_hash = self._senders.key_hash_of(scope, headers)
            require_json(headers)
            body = await read_body(headers, receive, bytes_max=BODY_BYTES_MAX)
            packet = decode_packet(body, now=int(now), limits=self._limits)
            answer = await self._commits.add(Arrival(packet, key_hash))
        except Exception as error:  # noqa: BLE001 each has its answer
            await self._refuse(scope, send, error)
            return
        if isinstance(answer, KeyRefused):
            await self._refuse(scope, send, KeyRequiredError("not the key of this meter"))
            return
        period = _period_text(answer.starts_at)
        body = (
            f'{{"id":{packet.meter_id},{period},"reading_kWh":{wh_to_kwh(packet.energy_wh)!r}}}'
        ).encode()
        await send({"type": "http.response.start", "status": 201, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": body})

    async def _refuse(self, scope: dict[str, Any], send: Send, error: Exception) -> None:
        headers: dict[bytes, bytes] = {}
        match error:
            case PacketFieldsError():
                outcome = "rejected"
                document = problem(400, "the packet is not right", errors=error.errors)
            case KeyRequiredError():
                self._senders.refused(scope, now=time.time())
                outcome, document = "unauthorized", problem(401, str(error))
                headers[b"www-authenticate"] = b"Bearer"
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
        await send_problem(send, document, headers=headers)


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
