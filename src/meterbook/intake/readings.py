"""
`POST /readings`: many packets in one request.

All rows are checked before any is stored. A request with a rejected row stores nothing, unless it
says `?partial=true`. What is stored is on disk before the answer; sending it again changes nothing.
"""

import asyncio
import time
from collections import Counter
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import parse_qs

import msgspec
import structlog

from meterbook.intake.bodies import (
    BodyTooLargeError,
    BrokenBodyError,
    MediaTypeError,
    SlowBodyError,
    body_parts,
    unpack,
)
from meterbook.intake.packet_columns import CheckedPackets, RejectedRow, check_packets
from meterbook.intake.packet_fields import PacketLimits
from meterbook.intake.packets import RETRY_AFTER_S
from meterbook.intake.recorder import PACKETS, Arrival, CannotStoreError, PacketRecorder, Stored
from meterbook.intake.senders import KeyRequiredError, Senders
from meterbook.problems import Problem, Send, problem, send_json, send_problem

UPLOADS_AT_ONCE = 2  # bounds the memory; more wait their turn
UPLOADS_WAITING_MAX = 256
UPLOADS_HELD_MAX = 4  # as many bytes as so many of the largest: bounds the temporary files
MEMORY_BYTES_MAX = 1 << 18  # an upload beyond it arrives in a file
_log = structlog.get_logger()
READINGS_PER_COMMIT = 20_000  # 70 ms: packets from meters hardly notice


class UploadAnswer(msgspec.Struct, frozen=True):
    """What became of the rows."""

    accepted: int
    """Stored by this request; also what replaced another value, or is kept beside an edit."""
    repeated: int
    """Stored before with the same value, or twice in this request."""
    replaced: int
    """Of the accepted: took the place of a different value, which is kept too."""
    rejected: int
    rejected_rows: list[RejectedRow]
    """The first hundred, with reasons."""


class UploadProblem(Problem, frozen=True, omit_defaults=True):
    """The problem document of a request with rejected rows: nothing was stored."""

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    rejected_rows: list[RejectedRow] = msgspec.field(default_factory=list)


class TooManyUploadsError(RuntimeError):
    """As many uploads wait as may."""


class ReadingsDoor:
    """The ASGI application behind `POST /readings`."""

    def __init__(
        self,
        recorder: PacketRecorder,
        *,
        senders: Senders,
        limits: PacketLimits,
        upload_bytes_max: int,
    ) -> None:
        self._recorder = recorder
        self._senders = senders
        self._limits = limits
        self._upload_bytes_max = upload_bytes_max
        self._turns = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._waiting = 0
        self._held_bytes = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            headers = {b"allow": b"POST"}
            await send_problem(send, problem(405, "POST packets here"), headers=headers)
            return
        if wait_s := self._senders.must_wait_s(scope, now=time.time()):
            headers = {b"retry-after": b"%d" % wait_s}
            await send_problem(send, problem(429, "too many wrong keys"), headers=headers)
            return
        try:
            answer = await self._take(scope, receive)
        except Exception as error:  # noqa: BLE001 each has its answer
            await self._refuse(scope, send, error)
            return
        if isinstance(answer, UploadProblem):
            await send_problem(send, answer)
        else:
            await send_json(send, 201 if answer.accepted else 200, answer)

    async def _take(self, scope: dict[str, Any], receive: Any) -> UploadAnswer | UploadProblem:
        headers = dict(scope["headers"])
        key_hash = self._senders.key_hash_of(scope, headers)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        partial = query.get("partial", ["false"])[-1].lower() in {"true", "1", "yes"}
        if self._waiting >= UPLOADS_WAITING_MAX:
            raise TooManyUploadsError
        self._waiting += 1
        size = 0
        try:
            # It arrives before its turn: a slow sender keeps nobody waiting.
            with SpooledTemporaryFile(MEMORY_BYTES_MAX, prefix="meterbook-readings-") as file:
                size = await self._receive(file, headers, receive)
                async with self._turns:
                    return await asyncio.to_thread(self._store, file, headers, key_hash, partial)
        finally:
            self._waiting -= 1
            self._held_bytes -= size

    async def _receive(self, file: IO[bytes], headers: dict[bytes, bytes], receive: Any) -> int:
        """Put the body into the file and return its size, which counts as held from then on."""
        bytes_max = self._upload_bytes_max
        size = 0
        try:
            async for part in body_parts(headers, receive, bytes_max=bytes_max):
                self._hold(len(part))
                size += len(part)
                file.write(part)
        except BaseException:
            self._held_bytes -= size
            raise
        return size

    def _hold(self, count: int) -> None:
        if self._held_bytes + count > UPLOADS_HELD_MAX * self._upload_bytes_max:
            raise TooManyUploadsError
        self._held_bytes += count

    def _store(
        self, file: IO[bytes], headers: dict[bytes, bytes], key_hash: str | None, partial: bool
    ) -> UploadAnswer | UploadProblem:
        file.seek(0)
        body = unpack(
            file.read(),
            encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
            bytes_max=self._upload_bytes_max,
        )
        checked = check_packets(
            body,
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
            now=int(time.time()),
            limits=self._limits,
        )
        del body
        self._reject_foreign(checked, key_hash)
        PACKETS.labels("rejected").inc(checked.rejected)
        if checked.rejected and not partial:
            rows = f"{checked.rejected} of {checked.rejected + len(checked.packets)} rows"
            return UploadProblem(
                status=400,
                title="Bad request",
                detail=f"{rows} are wrong; nothing was stored",
                rejected=checked.rejected,
                rejected_rows=checked.rejected_rows,
            )
        return self._record(checked, key_hash)

    def _reject_foreign(self, checked: CheckedPackets, key_hash: str | None) -> None:
        refused = self._recorder.refused_meters(
            {packet.meter_id for packet in checked.packets}, key_hash=key_hash
        )
        if not refused:
            return
        packets, rows = checked.packets, checked.rows
        checked.packets, checked.rows = [], []
        for packet, row in zip(packets, rows, strict=True):
            if packet.meter_id in refused:
                checked.reject({"id": ["is a meter this key may not write"]}, row=row)
            else:
                checked.accept(packet, row=row)

    def _record(self, checked: CheckedPackets, key_hash: str | None) -> UploadAnswer:
        counts: Counter[str] = Counter()
        for begin in range(0, len(checked.packets), READINGS_PER_COMMIT):
            some = checked.packets[begin : begin + READINGS_PER_COMMIT]
            answers = self._recorder.record([Arrival(packet, key_hash) for packet in some])
            counts.update(
                answer.recorded.value if isinstance(answer, Stored) else "unauthorized"
                for answer in answers
            )
        return UploadAnswer(
            accepted=counts["new"] + counts["replaced"] + counts["overruled"],
            repeated=counts["repeated"],
            replaced=counts["replaced"],
            rejected=checked.rejected + counts["unauthorized"],
            rejected_rows=checked.rejected_rows,
        )

    async def _refuse(self, scope: dict[str, Any], send: Send, error: Exception) -> None:
        headers: dict[bytes, bytes] = {}
        match error:
            case KeyRequiredError():
                self._senders.refused(scope, now=time.time())
                document = problem(401, str(error))
                headers[b"www-authenticate"] = b"Bearer"
            case BodyTooLargeError():
                document = problem(413, str(error))
            case MediaTypeError():
                document = problem(415, str(error))
            case SlowBodyError():
                document = problem(408, str(error))
            case BrokenBodyError():
                document = problem(400, str(error))
            case _:
                if not isinstance(error, CannotStoreError | TooManyUploadsError):
                    _log.error("upload not stored", error=type(error).__name__)
                document = problem(503, "not all was stored; send it again")
                headers[b"retry-after"] = b"%d" % RETRY_AFTER_S
        await send_problem(send, document, headers=headers)
