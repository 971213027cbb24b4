"""
A-XDR (IEC 62056-6-2), in which DLMS writes its values: a byte that says what follows, then that.

Each element takes at least one byte, so a count that promises more than there is ends with the
bytes and costs nothing. Octet strings stay bytes; what they mean (a code, a clock, a name) only
their place says.
"""

import struct
from typing import TypeAlias

Element: TypeAlias = "int | float | bool | str | bytes | list[Element] | None"

DEPTH_MAX = 8
_NUMBERS = {
    5: ">i", 6: ">I", 13: ">B", 15: ">b", 16: ">h", 17: ">B", 18: ">H", 20: ">q", 21: ">Q",
    22: ">B", 23: ">f", 24: ">d",
}  # fmt: skip
_BITS, _OCTETS = 4, 9
_FIXED = {25: 12, 26: 5, 27: 4}  # date and time, date, time
_LONG_LENGTH = 0x80


class NoAxdrError(ValueError):
    """Bytes that are no A-XDR."""


def decoded(encoded: bytes) -> Element:
    """
    Return the first element; what comes after it is left alone.

    :raises NoAxdrError: if the bytes end too early, nest too deeply or hold something unknown.
    """
    return _Reader(encoded).element(DEPTH_MAX)


class _Reader:
    def __init__(self, encoded: bytes) -> None:
        self._encoded, self._at = encoded, 0

    def element(self, depth: int) -> Element:
        tag = self._take(1)[0]
        if tag in _NUMBERS:
            layout = _NUMBERS[tag]
            number: int | float = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
            return number
        match tag:
            case 0 | 255:  # null, or do not care
                return None
            case 1 | 2:  # array, structure
                if not depth:
                    raise NoAxdrError("is nested too deeply")
                return [self.element(depth - 1) for _ in range(self._length())]
            case 3:
                return self._take(1) != b"\x00"
            case 10 | 12:
                return self._take(self._length()).decode("utf-8", errors="replace")
        return self._octets(tag)

    def _octets(self, tag: int) -> bytes:
        if tag in _FIXED:
            return self._take(_FIXED[tag])
        if tag == _BITS:
            return self._take(-(-self._length() // 8))
        if tag == _OCTETS:
            return self._take(self._length())
        raise NoAxdrError(f"has an element of kind {tag}, which is not known")

    def _length(self) -> int:
        first = self._take(1)[0]
        if first < _LONG_LENGTH:
            return first
        return int.from_bytes(self._take(first - _LONG_LENGTH), "big")

    def _take(self, count: int) -> bytes:
        taken = self._encoded[self._at : self._at + count]
        if len(taken) < count:
            raise NoAxdrError("ends too early")
        self._at += count
        return taken
