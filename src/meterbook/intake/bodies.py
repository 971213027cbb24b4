"""Request bodies of uploads: read up to a limit, and unpacked up to a limit (gzip, zstd)."""

import zlib
from collections.abc import Mapping
from typing import Any

import zstandard

_STEP_BYTES = 1 << 20


class BodyTooLargeError(ValueError):
    """More bytes than the limit, before or after unpacking."""

    def __init__(self, *, bytes_max: int) -> None:
        super().__init__(f"at most {bytes_max} bytes")


class MediaTypeError(ValueError):
    """A content type or encoding that this door does not take."""


class BrokenBodyError(ValueError):
    """Not what its content type or encoding says it is."""


async def read_body(headers: Mapping[bytes, bytes], receive: Any, *, bytes_max: int) -> bytes:
    """
    Return the request's body.

    :raises BodyTooLargeError: if it has more than bytes_max.
    :raises BrokenBodyError: if the sender hung up before its end.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > bytes_max:
        raise BodyTooLargeError(bytes_max=bytes_max)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > bytes_max:
                raise BodyTooLargeError(bytes_max=bytes_max)
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise BrokenBodyError("the request ended before its body did")
    if len(body) > bytes_max:
        raise BodyTooLargeError(bytes_max=bytes_max)
    return body


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
            parts.append(unpacker.decompress(body, left))
            left -= len(parts[-1])
            if left > 0 and not unpacker.eof:
                raise BrokenBodyError("the gzip body ends too early")
            body = unpacker.unused_data
    except zlib.error as error:
        raise BrokenBodyError(f"not gzip: {error}") from None
    if left <= 0:
        raise BodyTooLargeError(bytes_max=bytes_max)
    return b"".join(parts)


def _unzstd(body: bytes, *, bytes_max: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    parts: list[bytes] = []
    size = 0
    try:
        with unpacker.stream_reader(body, read_across_frames=True) as stream:
            while part := stream.read(_STEP_BYTES):
                size += len(part)
                if size > bytes_max:
                    raise BodyTooLargeError(bytes_max=bytes_max)
                parts.append(part)
    except zstandard.ZstdError as error:
        raise BrokenBodyError(f"not zstd: {error}") from None
    return b"".join(parts)
