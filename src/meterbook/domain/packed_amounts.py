"""
A day's amounts in few bytes: an Exp-Golomb code with a parameter of its own for each day.

The first byte tells the two forms apart. A MessagePack array (0x90 to 0x9f, 0xdc, 0xdd; nil is
missing) is what days were before, and still what is shorter so. Below 0x80 it is packed:

    byte 0     0 d u kkkkk: d differences, u unlike 48 known intervals, k the parameter, 0 to 31
    varint     only if u: how many intervals the day has
    varints    only if u: how many are known, missing, known, ... in turn, up to that number
    varint     the base, zigzag
    bits       of each symbol its class c: c zeros and a one
    bits       of each symbol its lowest k + c bits; zeros fill the last byte

Symbol s is stored as s + 2**k, of which the highest bit is implied: it has k + c bits below that
one, at most 52. Without d there is a symbol for each known amount, what it is above the base. With
d the base is the first known amount, and the symbols are the differences from one to the next,
zigzag. Varints are LEB128: seven bits a byte, the lowest first, the highest bit set on all but the
last. Zigzag is 0, -1, 1, -2, 2 as 0, 1, 2, 3, 4. Bits begin at the highest of a byte.
"""

from functools import lru_cache
from itertools import accumulate, groupby
from operator import sub

import msgspec

DIFFERENCES, UNLIKE, PARAMETER = 0x40, 0x20, 0x1F
ALIKE = 48  # the half hours of all days but two a year
WIDTH_MAX = 52  # bits of a symbol below its highest
_PACKED_END = 0x80  # first bytes below it are ours
INTERVALS_MAX = 90_000  # a day of 25 hours by the second
_BASE_MAX = 1 << 61
_VARINT_BITS_MAX = 70
_VARINT_MORE = 0x80
Amounts = list[int | None]
_HIGH = [1 << width for width in range(WIDTH_MAX + 1)]
_LOW = [high - 1 for high in _HIGH]
_BYTES = [bytes((number,)) for number in range(256)]

encode_plain = msgspec.msgpack.Encoder().encode
"""Return the amounts as a MessagePack array."""
_decode_plain = msgspec.msgpack.Decoder(Amounts).decode


class UnreadableAmountsError(ValueError):
    """Bytes that are no day's amounts."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """What stands before the bits."""

    differs: bool
    parameter: int
    count: int
    """How many intervals the day has."""
    runs: tuple[int, ...]
    """How many are known, missing, known, ... in turn."""
    base: int
    size: int
    """Of the head, in bytes."""

    @property
    def known(self) -> int:
        """How many intervals are not missing."""
        return sum(self.runs[::2])

    @property
    def symbols(self) -> int:
        """How many symbols the bits hold."""
        return self.known - self.differs


def decode(stored: bytes) -> Amounts:
    """
    Return the amounts of a day, one per interval; None is missing.

    :raises UnreadableAmountsError: if the bytes are not the amounts of a day.
    """
    if not is_packed(stored):
        return decode_plain(stored)
    head = read_head(stored)
    k, count = head.parameter, head.symbols
    bits = int.from_bytes(stored[head.size :])
    *zeros, rest = f"{bits:0{8 * (len(stored) - head.size)}b}".split("1", count)
    widths = [k + len(some) for some in zeros]
    left = len(rest)
    spare = left - sum(widths)
    if len(zeros) != count or not 0 <= spare <= 7 or bits & (1 << spare) - 1:  # noqa: PLR2004 bits of a byte
        raise UnreadableAmountsError("the bits are not those of its intervals")
    if max(widths, default=0) > WIDTH_MAX:
        raise UnreadableAmountsError("a symbol that is too wide")
    places = [*accumulate(widths, sub, initial=left)][1:]
    rise = (0 if head.differs else head.base) - (1 << k)
    found = [
        (bits >> place & _LOW[width]) + _HIGH[width] + rise
        for place, width in zip(places, widths, strict=True)
    ]
    if not head.differs:
        return with_gaps(found, head)
    steps = [symbol >> 1 ^ -(symbol & 1) for symbol in found]
    return with_gaps([*accumulate(steps, initial=head.base)], head)


def decode_plain(stored: bytes) -> Amounts:
    """
    Return the amounts of a day in MessagePack.

    :raises UnreadableAmountsError: if they are not.
    """
    try:
        return _decode_plain(stored)
    except msgspec.MsgspecError as error:
        raise UnreadableAmountsError(str(error)) from error


def is_packed(stored: bytes) -> bool:
    """Say which of the two forms it is."""
    return bool(stored) and stored[0] < _PACKED_END


def with_gaps(known: list[int], head: Head) -> Amounts:
    """Return the known amounts with None where one is missing."""
    if len(head.runs) == 1:
        return known  # type: ignore[return-value] # a new list: nobody else has it
    amounts: Amounts = []
    begin = 0
    for index, length in enumerate(head.runs):
        if index % 2:
            amounts += [None] * length
        else:
            amounts += known[begin : begin + length]
            begin += length
    return amounts


def write_head(differs: bool, parameter: int, runs: bytes, base: int) -> bytes:
    """
    Return what stands before the bits.

    :param runs: see `written_runs`.
    """
    flags = differs * DIFFERENCES | bool(runs) * UNLIKE | parameter
    return _BYTES[flags] + runs + _varint(base << 1 ^ base >> 63)


@lru_cache(maxsize=4096)  # most days have no gap, and many have the same
def written_runs(present: bytes) -> bytes:
    """
    Return how many intervals there are, and the runs of those known and missing.

    :param present: a byte for each interval, 1 known, 0 missing.
    :returns: nothing if all of 48 are known.
    """
    if len(present) == ALIKE and 0 not in present:
        return b""
    runs = [len([*some]) for _, some in groupby(present)]
    return b"".join(map(_varint, [len(present), *([] if present[0] else [0]), *runs]))


def read_head(stored: bytes) -> Head:
    """
    Return what stands before the bits of a packed day.

    :raises UnreadableAmountsError: if it cannot be.
    """
    flags, at = stored[0], 1
    count, runs = ALIKE, [ALIKE]
    if flags & UNLIKE:
        count, at = _read_varint(stored, at)
        if not 0 < count <= INTERVALS_MAX:
            raise UnreadableAmountsError(f"a day of {count} intervals")
        runs, reached = [], 0
        while reached < count:
            run, at = _read_varint(stored, at)
            runs.append(run)
            reached += run
        if reached != count or 0 in runs[1:] or runs == [ALIKE]:
            raise UnreadableAmountsError("gaps that are not those of its intervals")
    zigzag, at = _read_varint(stored, at)
    if not sum(runs[::2]):
        raise UnreadableAmountsError("nothing is known of the day")
    base = zigzag >> 1 ^ -(zigzag & 1)
    if abs(base) > _BASE_MAX:
        raise UnreadableAmountsError("an amount that is too large")
    return Head(bool(flags & DIFFERENCES), flags & PARAMETER, count, (*runs,), base, at)


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= _VARINT_MORE:
        written.append(number & 0x7F | _VARINT_MORE)
        number >>= 7
    written.append(number)
    return bytes(written)


def _read_varint(stored: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, _VARINT_BITS_MAX, 7):
        if at >= len(stored):
            break
        byte = stored[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < _VARINT_MORE:
            return number, at
    raise UnreadableAmountsError("a number that does not end")
