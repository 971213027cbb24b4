"""
HDLC frames (IEC 62056-46) in a stream of bytes that begins and ends anywhere.

    7E  A0 2A  41 08 83  13  04 13  E6 E7 00 0F ...  1C 05  7E
        length addresses     check  information      check

A flag (7E) may stand within a frame: most meters rely on the length and escape nothing. So a
frame is measured by its length first, and only then tried with its escapes (7D) taken out. The
flag that ends one frame may begin the next.
"""

import binascii
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

FLAG = 0x7E
LIST_BYTES_MAX = 1 << 16  # a list in segments; meters push some hundred bytes
_FORMAT, _FORMAT_MASK = 0xA0, 0xF0  # frame format 3
_SEGMENTED = 0x08
_LENGTH_MASK = 0x07FF
_FRAME_BYTES_MAX = 2 * _LENGTH_MASK + 4  # every byte escaped
_FRAME_BYTES_MIN = 7
_ADDRESS_BYTES_MAX = 4
_ESCAPE, _ESCAPED = 0x7D, 0x20
_GOOD = 0x1D0F  # what the check over a frame and its own check sum leaves
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Found(msgspec.Struct):
    frame: bytes
    end: int


def informations(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """
    Yield what each frame carries, segments joined; None for one that is cut or damaged.

    Frames that carry nothing are passed over. Memory does not grow with the stream.
    """
    joined = b""
    for frame in _frames(chunks):
        if frame is None:
            joined = b""
            yield None
            continue
        joined += _information(frame)
        if frame[0] & _SEGMENTED and len(joined) <= LIST_BYTES_MAX:
            continue
        if joined:
            yield joined
        joined = b""
    if joined:
        yield None


def _frames(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    buffer = b""
    for chunk in chain(chunks, [None]):
        buffer += chunk or b""
        # Until the stream ends, a frame is looked at when it must be there whole.
        needed = 1 if chunk is None else _FRAME_BYTES_MAX
        at = buffer.find(FLAG)
        while 0 <= at <= len(buffer) - needed:
            found = _found(buffer, at)
            if found is not None:
                yield found.frame
            elif _may_begin(buffer, at):
                yield None
            at = buffer.find(FLAG, at + 1 if found is None else found.end)
        buffer = buffer[at:] if at >= 0 else b""


def _may_begin(buffer: bytes, at: int) -> bool:
    return len(buffer) > at + 1 and buffer[at + 1] & _FORMAT_MASK == _FORMAT


def _found(buffer: bytes, at: int) -> _Found | None:
    """Return the frame that begins with the flag at this place, and where it ends."""
    if not _may_begin(buffer, at):
        return None
    length = int.from_bytes(buffer[at + 1 : at + 3], "big") & _LENGTH_MASK
    begin = at + 1
    plain = buffer[begin : begin + length]
    if _is_good(plain, length):
        return _Found(plain, begin + length)
    end = buffer.find(FLAG, begin, begin + _FRAME_BYTES_MAX)
    if end < 0 or _ESCAPE not in buffer[begin:end]:
        return None
    bare = _unescaped(buffer[begin:end])
    return _Found(bare, end) if _is_good(bare, length) else None


def _is_good(frame: bytes, length: int) -> bool:
    # The check is CRC-16/X-25: least bit first, which binascii has the other way round only.
    return (
        len(frame) == length >= _FRAME_BYTES_MIN
        and binascii.crc_hqx(frame.translate(_REVERSED), 0xFFFF) == _GOOD
    )


def _unescaped(escaped: bytes) -> bytes:
    first, *others = escaped.split(bytes([_ESCAPE]))
    return first + b"".join(bytes([part[0] ^ _ESCAPED]) + part[1:] for part in others if part)


def _information(frame: bytes) -> bytes:
    at = 2
    for _ in range(2):  # destination and source: the last byte of an address is odd
        last = at + _ADDRESS_BYTES_MAX - 1
        while at < min(last, len(frame) - 1) and not frame[at] & 1:
            at += 1
        at += 1
    return frame[at + 3 : -2]
