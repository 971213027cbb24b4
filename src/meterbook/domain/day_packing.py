"""
Packs many days' amounts at once, in the form of `packed_amounts`.

A table of days goes through a few NumPy calls, a row a day; unlike rows are padded with fields of
no bits. Neighbours of a row are put together two by two as long as they fit a machine word, so
that few fields are left to be placed bit by bit. One day's amounts have one packed form, whatever
other days they are packed with.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.packed_amounts import (
    ALIKE,
    DIFFERENCES,
    INTERVALS_MAX,
    PARAMETER,
    WIDTH_MAX,
    Amounts,
    encode_plain,
    write_head,
    written_runs,
)
from meterbook.domain.reading_columns import IntColumn

_CELLS_AT_ONCE = 24_576  # larger columns cost more for their memory than they save
_AMOUNT_MAX = 1 << 50  # so symbols are below 2**(WIDTH_MAX + 1), and exact as floats
_NARROW = 1 << 22  # amounts so near to each other: symbols and 2**k are exact as 32 bits' floats
_WORD = 64
_BYTE, _SEVEN, _FOURTEEN, _TWENTY_ONE = 8, 1 << 7, 1 << 14, 1 << 21
Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Field = npt.NDArray[np.signedinteger]
"""Of 32 or of 64 bits, shape (days, longest day)."""


def encode(amounts: Sequence[int | None]) -> bytes:
    """Return one day's amounts as they are stored."""
    return encode_days([amounts])[0]


def encode_days(days: Sequence[Sequence[int | None]]) -> list[bytes]:
    """Return days' amounts as they are stored."""
    slots = np.array([len(day) for day in days], dtype=np.int64)
    shape = (len(days), int(slots.max(initial=0)))
    padded = [[*day, *[None] * (shape[1] - len(day))] for day in days]
    present = np.array([[a is not None for a in day] for day in padded], dtype=bool)
    try:
        amounts = np.array([[a or 0 for a in day] for day in padded], dtype=np.int64)
    except OverflowError:
        return [encode_plain(day) for day in days] if len(days) == 1 else [*map(encode, days)]
    return encode_table(amounts.reshape(shape), present=present.reshape(shape), slots=slots)


def encode_whole(days: Sequence[IntColumn]) -> list[bytes]:
    """Return the amounts of days that miss none, as they are stored; each of shape (slots,)."""
    slots = np.array([len(day) for day in days], dtype=np.int64)
    present = np.arange(int(slots.max(initial=0))) < slots[:, None]
    amounts = np.zeros(present.shape, dtype=np.int64)
    if len(days):
        amounts[present] = np.concatenate(days)
    return encode_table(amounts, present=present, slots=slots)


def encode_table(amounts: IntColumn, *, present: Flags, slots: IntColumn) -> list[bytes]:
    """
    Return days' amounts as they are stored.

    :param amounts: shape (n, longest day); 0 where missing.
    :param present: shape (n, longest day); False beyond the end of a day.
    :param slots: how many intervals each day has, shape (n,).
    """
    at_once = max(_CELLS_AT_ONCE // max(amounts.shape[1], 1), 1)
    stored: list[bytes] = []
    for begin in range(0, len(slots), at_once):
        rows = slice(begin, begin + at_once)
        longest = max(int(slots[rows].max()), 1)
        stored += _encode_part(amounts[rows, :longest], present[rows, :longest], slots[rows])
    return stored


def _encode_part(amounts: IntColumn, present: Flags, slots: IntColumn) -> list[bytes]:
    small = (amounts.min(axis=1) > -_AMOUNT_MAX) & (amounts.max(axis=1) < _AMOUNT_MAX)
    fits = small & present.any(axis=1) & (slots <= INTERVALS_MAX)
    if fits.all():
        stored = _packed(amounts, present, slots)
    else:
        packed = iter(_packed(amounts[fits], present[fits], slots[fits]) if fits.any() else ())
        stored = [next(packed) if some else b"" for some in fits.tolist()]
    # What MessagePack takes at the least: a byte for each, another for each large one.
    large = np.count_nonzero((amounts > 127) | (amounts < -32), axis=1)  # noqa: PLR2004 its one byte
    size = np.array([*map(len, stored)], dtype=np.int64)
    for row in np.flatnonzero((size == 0) | (size > slots + large)).tolist():
        length = int(slots[row])
        plain = encode_plain(_day(amounts[row, :length], present[row, :length]))
        if not stored[row] or len(plain) <= len(stored[row]):
            stored[row] = plain
    return stored


def _day(amounts: IntColumn, present: Flags) -> Amounts:
    pairs = zip(amounts.tolist(), present.tolist(), strict=True)
    return [amount if known else None for amount, known in pairs]


class _Symbols(msgspec.Struct, frozen=True):
    """What is to be packed of days."""

    symbol: Field
    blank: Flags | None
    """Which cells hold none, of the same shape; None: all hold one."""
    parameter: IntColumn
    """Shape (days,), as all that follows."""
    differs: Flags
    base: IntColumn


def _packed(amounts: IntColumn, present: Flags, slots: IntColumn) -> list[bytes]:
    whole = bool(present.all())
    symbols = _symbols(amounts, None) if whole else _symbols(*_known_first(amounts, present))
    alike = (slots == ALIKE) & present[:, :ALIKE].all(axis=1)
    head, head_width = _short_heads(symbols, alike)
    stored = _bits(symbols, head, head_width)
    for row in np.flatnonzero(head_width == 0).tolist():
        runs = written_runs(present[row, : int(slots[row])].tobytes())
        differs, k = bool(symbols.differs[row]), int(symbols.parameter[row])
        stored[row] = write_head(differs, k, runs, int(symbols.base[row])) + stored[row]
    return stored


def _known_first(amounts: IntColumn, present: Flags) -> tuple[IntColumn, Flags]:
    """Return the known amounts of each row before what is missing, and where they are."""
    gaps = np.flatnonzero((present[:, 1:] & ~present[:, :-1]).any(axis=1))
    if len(gaps):
        order = np.argsort(~present[gaps], axis=1, kind="stable")
        amounts, present = amounts.copy(), present.copy()
        amounts[gaps] = np.take_along_axis(amounts[gaps], order, axis=1)
        present[gaps] = np.take_along_axis(present[gaps], order, axis=1)
    return np.where(present, amounts, amounts[:, :1]), present


def _symbols(amounts: IntColumn, present: Flags | None) -> _Symbols:
    low = amounts.min(axis=1)
    above: Field = amounts - low[:, None]
    if int(above.max()) < _NARROW:
        above = above.astype(np.int32)
    step = above[:, 1:] - above[:, :-1]
    zigzag = step << 1 ^ step >> (8 * step.itemsize - 1)
    plain, plain_cost = _parameters(above, present)
    other, other_cost = _parameters(zigzag, None if present is None else present[:, 1:])
    differs = other_cost < plain_cost
    blank = None if present is None else ~present
    if differs.any():
        blank = np.zeros(above.shape, dtype=bool) if blank is None else blank
        blank[differs, 0] = True
        above[differs, 1:] = zigzag[differs]
    return _Symbols(
        above,
        blank,
        np.where(differs, other, plain),
        differs,
        np.where(differs, amounts[:, 0], low),
    )


def _costs() -> npt.NDArray[np.float64]:
    """Return about how many bits a symbol takes by its bit length and the parameter."""
    length, k = np.ogrid[: WIDTH_MAX + 2, : PARAMETER + 1]
    # Of symbols from 2**(length - 1) on, those within 2**k of twice as much are a class higher.
    of_class = np.where(k < length, length - 1 - k + 2.0 ** (k + 1 - length), 0)
    # In sixty-fourths, so that sums are exact and do not depend on how they are added.
    exact: npt.NDArray[np.float64] = np.round((2 * of_class + 1 + k) * 64) / 64
    return exact


_COSTS = _costs()


def _parameters(symbol: Field, present: Flags | None) -> tuple[IntColumn, npt.NDArray[np.float64]]:
    """Return each day's best parameter, and about how many bits its symbols take."""
    length = _bit_length(symbol)
    lengths = int(length.max(initial=0)) + 1
    if present is not None:
        length = np.where(present, length, lengths)
    days = np.arange(len(symbol)) * (lengths + 1)
    counted = np.bincount((length + days[:, None]).ravel(), minlength=len(days) * (lengths + 1))
    by_length = counted.reshape(len(days), -1)[:, :lengths].astype(np.float64)
    cost = by_length @ _COSTS[:lengths, : lengths + 1]
    return cost.argmin(axis=1), cost.min(axis=1)


def _short_heads(symbols: _Symbols, alike: Flags) -> tuple[IntColumn, IntColumn]:
    """
    Return what stands before the bits, as numbers, and how many bits they have.

    :param alike: which days have 48 known intervals; others, and those with a large base, have
        no short head, and 0 bits here.
    """
    flags = np.where(symbols.differs, DIFFERENCES, 0) | symbols.parameter
    zigzag = symbols.base << 1 ^ symbols.base >> 63
    first, second = zigzag & 0x7F | 0x80, zigzag >> 7 & 0x7F
    two = first << 8 | second
    three = first << 16 | (second | 0x80) << 8 | zigzag >> 14
    is_two, is_three = zigzag >= _SEVEN, zigzag >= _FOURTEEN
    width = 2 * _BYTE + _BYTE * (is_two.astype(np.int64) + is_three)
    varint = np.where(is_three, three, np.where(is_two, two, zigzag))
    width[~alike | (zigzag >= _TWENTY_ONE)] = 0
    return np.where(width > 0, flags << np.maximum(width - _BYTE, 0) | varint, 0), width


def _bits(symbols: _Symbols, head: IntColumn, head_width: IntColumn) -> list[bytes]:
    """Return the short head and the bits of each day."""
    k = symbols.parameter[:, None].astype(symbols.symbol.dtype)
    with_high = symbols.symbol + (np.ones_like(k) << k)
    width = _bit_length(with_high) - 1
    one = np.ones_like(width) if symbols.blank is None else (~symbols.blank).astype(width.dtype)
    low_bits = with_high ^ one << width
    class_width = width - k + 1
    if symbols.blank is not None:
        for field in (low_bits, class_width, width):
            np.multiply(field, one, out=field)
    pairs = [
        (head[:, None], head_width[:, None]),
        _merged(one, class_width),
        _merged(low_bits, width),
    ]
    number = np.concatenate([part.astype(np.uint64) for part, _ in pairs], axis=1)
    widths = np.concatenate([part for _, part in pairs], axis=1, dtype=np.int64)
    ends = np.cumsum(widths, axis=1)
    size = (ends[:, -1] + 7) >> 3
    end = np.cumsum(size)
    begin = end - size
    words = np.zeros((int(end[-1]) >> 3) + 2, dtype=np.uint64)
    at = ends - widths + (begin << 3)[:, None]
    _put(words, number.ravel(), at=at.ravel(), width=widths.ravel())
    written = words.astype(">u8").tobytes()
    return [written[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]


def _merged(number: Field, width: Field) -> tuple[npt.NDArray[np.unsignedinteger], Field]:
    """Put neighbours of each row together, and again, as long as they fit a word."""
    joined = number.view(f"u{number.itemsize}")
    if rest := -joined.shape[1] % 4:
        joined, width = (np.pad(part, ((0, 0), (0, rest))) for part in (joined, width))
    while joined.shape[1] % 2 == 0:
        both = width[:, ::2] + width[:, 1::2]
        longest = int(both.max())
        if longest > _WORD:
            break
        if longest > 8 * joined.itemsize:
            joined = joined.astype(np.uint64)
        joined = joined[:, ::2] << width[:, 1::2].astype(joined.dtype) | joined[:, 1::2]
        width = both
    return joined, width


def _put(words: Words, number: Words, *, at: IntColumn, width: IntColumn) -> None:
    """Write numbers into words, highest bit first; `at` rises, no two touch the same bit."""
    word = at >> 6
    over = (at & (_WORD - 1)) + width - _WORD
    here = number << np.maximum(-over, 0).astype(np.uint64)
    here >>= np.maximum(over, 0).astype(np.uint64)
    heads = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[heads]] |= np.bitwise_or.reduceat(here, heads)
    across = np.flatnonzero(over > 0)
    words[word[across] + 1] |= number[across] << (_WORD - over[across]).astype(np.uint64)


def _bit_length(number: Field) -> Field:
    """Return how many bits numbers have that are exact as floats of their own width."""
    length: Field
    if number.dtype == np.int32:
        length = (number.astype(np.float32).view(np.int32) >> 23) - 126
    else:
        length = (number.astype(np.float64).view(np.int64) >> 52) - 1022
    np.maximum(length, 0, out=length)
    return length
