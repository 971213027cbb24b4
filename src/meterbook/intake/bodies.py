"""
Request bodies: read up to a limit of size and of patience, and unpacked up to a limit (gzip, zstd).

The server in front waits for a body without end. Whoever sends a byte a second must not hold a
connection, and what belongs to it, for hours.
"""

import asyncio
import ctypes
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import zstandard

PATIENCE_S = 30.0
LOOK_EVERY_S = 0.5
BYTES_PER_S_MIN = 4_096  # less than the slowest modem that anybody still sends files over
_STEP_BYTES = 1 << 20


class BodyTooLargeError(ValueError):
    """More bytes than the limit, before or after unpacking."""

    def __init__(self, *, bytes_max: int) -> None:
        super().__init__(f"at most {bytes_max} bytes")


class MediaTypeError(ValueError):
    """A content type or encoding that this door does not take."""


class BrokenBodyError(ValueError):
    """Not what its content type or encoding says it is."""


class SlowBodyError(BrokenBodyError):
    """A body that came too slowly; what is missing of it may still be sent, from the start."""

    def __init__(self) -> None:
        super().__init__("the body came too slowly; send it again")


class _Watch:
    """
    The one timer of all bodies that are on their way.

    A timer for each would cost a tenth of what a packet does. A body that is late is noticed up to
    LOOK_EVERY_S after its time.
    """

    def __init__(self) -> None:
        self._ends_at: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(
        self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], ends_at: float
    ) -> None:
        """Cancel the task when its time is over, unless it ends before."""
        self._ends_at[task] = ends_at
        if self._looking is None or self._loop is not loop:
            self._loop = loop
            self._looking = loop.call_later(LOOK_EVERY_S, self._look, loop)

    def end(self, task: asyncio.Task[Any]) -> None:
        """Forget the task."""
        self._ends_at.pop(task, None)
        self._late.discard(task)

    def has_given_up(self, task: asyncio.Task[Any]) -> bool:
        """Say whether it was this that cancelled the task, and nobody else did, too."""
        return task in self._late and task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, ends_at in self._ends_at.items() if ends_at <= now]:
            del self._ends_at[task]
            if not task.done():
                self._late.add(task)
                task.cancel()
        self._looking = None
        if self._ends_at:
            self._looking = loop.call_later(LOOK_EVERY_S, self._look, loop)


_watch = _Watch()


class PatientReceive:
    """An ASGI `receive` that gives up on a body that does not get on."""

    def __init__(self, receive: Any, *, too_slow: Callable[[], Exception] = SlowBodyError) -> None:
        """
        Prepare; the first call starts the clock.

        :param too_slow: makes what is raised.
        """
        self._receive = receive
        self._too_slow = too_slow
        self._is_whole = False
        self._ends_at = 0.0

    async def __call__(self) -> Any:
        """
        Return the next message; after the body's end, whenever it comes.

        :raises Exception: what `too_slow` makes, if the body has come too slowly so far.
        """
        if self._is_whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._ends_at = self._ends_at or loop.time() + PATIENCE_S
        message = await self._message(loop)
        self._ends_at += len(message.get("body", b"")) / BYTES_PER_S_MIN
        self._is_whole = not message.get("more_body")
        return message

    async def _message(self, loop: asyncio.AbstractEventLoop) -> Any:
        task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
        _watch.begin(loop, task, self._ends_at)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not _watch.has_given_up(task):
                raise
        finally:
            _watch.end(task)
        raise self._too_slow()


async def read_body(headers: Mapping[bytes, bytes], receive: Any, *, bytes_max: int) -> bytes:
    """
    Return the request's body; raises as `body_parts` does.

    For bodies that may be held in memory as they come.
    """
    return b"".join([part async for part in body_parts(headers, receive, bytes_max=bytes_max)])


async def body_parts(
    headers: Mapping[bytes, bytes], receive: Any, *, bytes_max: int
) -> AsyncIterator[bytes]:
    """
    Yield the request's body part by part, as it comes.

    :raises BodyTooLargeError: if it has more than bytes_max.
    :raises BrokenBodyError: if the sender hung up before its end.
    :raises SlowBodyError: if it came too slowly.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > bytes_max:
        raise BodyTooLargeError(bytes_max=bytes_max)
    receive = PatientReceive(receive)
    size = 0
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BrokenBodyError("the request ended before its body did")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise BodyTooLargeError(bytes_max=bytes_max)
        yield part
        is_more = message.get("more_body", False)


def unpack(body: bytes, *, encoding: str, bytes_max: int) -> bytes:
    """
    Return the body without its content encoding.

    :param encoding: of the header Content-Encoding: gzip, zstd, identity or empty.
    :raises MediaTypeError: if it is another one.
    :raises BodyTooLargeError: if it unpacks to more than bytes_max; nothing larger is ever held.
    :raises BrokenBodyError: if it cannot be unpacked.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, bytes_max=bytes_max)
        case "zstd":
            return _unzstd(body, bytes_max=bytes_max)
        case other:
            raise MediaTypeError(f"content encoding {other!r} is not taken; send gzip or zstd")


def _gunzip(body: bytes, *, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    left = bytes_max + 1
    try:
        while body and left > 0:  # a gzip body may have several members
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            while left > 0 and not unpacker.eof:
                # In steps: the memory of one piece of 256 MiB is not given back.
                parts.append(unpacker.decompress(body, min(left, _STEP_BYTES)))
                left -= len(parts[-1])
                body = unpacker.unconsumed_tail
                if not (parts[-1] or body or unpacker.eof):
                    raise BrokenBodyError("the gzip body ends too early")
            body = unpacker.unused_data
    except zlib.error as error:
        raise BrokenBodyError(f"not gzip: {error}") from None
    if left <= 0:
        raise _refused(parts, bytes_max=bytes_max)
    return b"".join(parts)


def _unzstd(body: bytes, *, bytes_max: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    parts: list[bytes] = []
    size = 0
    try:
        with unpacker.stream_reader(body, read_across_frames=True) as stream:
            while part := stream.read(_STEP_BYTES):
                size += len(part)
                parts.append(part)
                if size > bytes_max:
                    raise _refused(parts, bytes_max=bytes_max)
    except zstandard.ZstdError as error:
        raise BrokenBodyError(f"not zstd: {error}") from None
    return b"".join(parts)


def _refused(parts: list[bytes], *, bytes_max: int) -> BodyTooLargeError:
    """Let go of what was unpacked so far, so that no number of bombs fills the memory."""
    parts.clear()
    if _give_back is not None:
        _give_back(0)  # glibc keeps freed memory, thread by thread, until it is asked for it
    return BodyTooLargeError(bytes_max=bytes_max)


# Not there with another C library, which keeps less.
_give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
