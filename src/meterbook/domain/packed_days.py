"""
Many days' amounts packed and unpacked at once, in the form of `packed_amounts`.

All happens on one flat column of the known amounts of all days, so that a day of 1,440 minutes and
one of 46 half hours go through the same few NumPy calls. One day's amounts have one packed form,
whatever other days they are packed with.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.packed_amounts import (
    INTERVALS_MAX,
    PARAMETER,
    WIDTH_MAX,
    Amounts,
    Head,
    UnreadableAmountsError,
    decode,
    encode_plain,
    is_packed,
    read_head,
    with_gaps,
    write_head,
    written_runs,
)
from meterbook.domain.reading_columns import IntColumn

_CELLS_AT_ONCE = 6_144  # larger columns cost more for their memory than they save
_DAYS_AT_ONCE = 128
_FEW = 8  # days; so many are faster one by one
_AMOUNT_MAX = 1 << 50  # so symbols are below 2**(WIDTH_MAX + 1), and exact as floats
_WORD = 64
Flags = npt.NDArray[np.bool_]


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
        part = slice(begin, begin + at_once)
        stored += _encode_part(amounts[part], present[part], slots[part])
    return stored


def decode_many(stored: Sequence[bytes]) -> list[Amounts]:
    """
    Return the amounts of each day.

    :raises UnreadableAmountsError: if one cannot be read.
    """
    days: list[Amounts] = []
    for begin in range(0, len(stored), _DAYS_AT_ONCE):
        days += _decode_part(stored[begin : begin + _DAYS_AT_ONCE])
    return days


def _decode_part(stored: Sequence[bytes]) -> list[Amounts]:
    packed = [index for index, day in enumerate(stored) if is_packed(day)]
    if len(packed) <= _FEW:
        return [decode(day) for day in stored]
    days = [[] if is_packed(day) else decode(day) for day in stored]
    heads = [read_head(stored[index]) for index in packed]
    flat = _known([stored[index] for index in packed], heads).tolist()
    begin = 0
    for index, head in zip(packed, heads, strict=True):
        days[index] = with_gaps(flat[begin : begin + head.known], head)
        begin += head.known
    return days


class _Symbols(msgspec.Struct, frozen=True):
    """What is to be packed of days."""

    symbol: IntColumn
    """Of all days, shape (n,)."""
    count: IntColumn
    """How many are of each day, as all that follows: shape (days,)."""
    parameter: IntColumn
    differs: Flags
    base: IntColumn


def _encode_part(amounts: IntColumn, present: Flags, slots: IntColumn) -> list[bytes]:
    fits = _packable(amounts, present, slots)
    packed = dict(zip(fits.tolist(), _packed(amounts, present, slots, fits), strict=True))
    # What MessagePack takes at the least: a byte for each, another for each large one.
    large = np.count_nonzero((amounts > 127) | (amounts < -32), axis=1)  # noqa: PLR2004 its one byte
    stored = []
    for row, (length, least) in enumerate(
        zip(slots.tolist(), (slots + large).tolist(), strict=True)
    ):
        ours = packed.get(row)
        if ours is None or len(ours) > least:
            plain = encode_plain(_day(amounts[row, :length], present[row, :length]))
            ours = plain if ours is None or len(plain) <= len(ours) else ours
        stored.append(ours)
    return stored


def _packed(amounts: IntColumn, present: Flags, slots: IntColumn, fits: IntColumn) -> list[bytes]:
    if not len(fits):
        return []
    whole = len(fits) == len(slots)
    symbols = _symbols(*((amounts, present) if whole else (amounts[fits], present[fits])))
    width = present.shape[1]
    known = present.tobytes()
    heads = zip(
        (fits * width).tolist(),
        (fits * width + slots[fits]).tolist(),
        symbols.differs.tolist(),
        symbols.parameter.tolist(),
        symbols.base.tolist(),
        strict=True,
    )
    return [
        write_head(differs, k, written_runs(known[begin:end]), base) + bits
        for (begin, end, differs, k, base), bits in zip(heads, _bits(symbols), strict=True)
    ]


def _day(amounts: IntColumn, present: Flags) -> Amounts:
    pairs = zip(amounts.tolist(), present.tolist(), strict=True)
    return [amount if known else None for amount, known in pairs]


def _packable(amounts: IntColumn, present: Flags, slots: IntColumn) -> IntColumn:
    """Return the rows of days of which something is known and nothing is too large."""
    small = (amounts.min(axis=1) > -_AMOUNT_MAX) & (amounts.max(axis=1) < _AMOUNT_MAX)
    return np.flatnonzero(small & present.any(axis=1) & (slots <= INTERVALS_MAX))


def _symbols(amounts: IntColumn, present: Flags) -> _Symbols:
    flat = amounts[present]
    count = np.count_nonzero(present, axis=1)
    begin = np.cumsum(count) - count
    low = np.minimum.reduceat(flat, begin)
    above = flat - np.repeat(low, count)
    step = np.diff(flat, prepend=flat[0])
    step[begin] = 0
    zigzag = step << 1 ^ step >> 63
    of_day = np.repeat(np.arange(len(count)), count)
    plain, plain_cost = _parameters(above, of_day, len(count), beside=0)
    other, other_cost = _parameters(zigzag, of_day, len(count), beside=1)
    differs = other_cost < plain_cost
    if differs.any():
        above = np.where(differs[of_day], zigzag, above)
        is_symbol = np.ones(len(flat), dtype=bool)
        is_symbol[begin[differs]] = False
        above = above[is_symbol]
    return _Symbols(
        above,
        count - differs,
        np.where(differs, other, plain),
        differs,
        np.where(differs, flat[begin], low),
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


def _parameters(
    symbol: IntColumn, of_day: IntColumn, days: int, *, beside: int
) -> tuple[IntColumn, npt.NDArray[np.float64]]:
    """
    Return each day's best parameter, and about how many bits its symbols take.

    :param beside: how many zeros of each day are not symbols.
    """
    length = _bit_length(symbol)
    lengths = int(length.max()) + 1
    counted = np.bincount(of_day * lengths + length, minlength=days * lengths)
    by_length = counted.reshape(days, lengths).astype(np.float64)
    by_length[:, 0] -= beside
    cost = by_length @ _COSTS[:lengths, : lengths + 1]
    return cost.argmin(axis=1), cost.min(axis=1)


def _bits(symbols: _Symbols) -> list[bytes]:
    """Return what stands behind the heads of the days."""
    k = np.repeat(symbols.parameter, symbols.count)
    with_high = symbols.symbol + (1 << k)
    width = _bit_length(with_high) - 1
    low_bits = with_high ^ (1 << width)
    class_end, class_bits = _ends(width - k + 1, symbols.count)
    width_end, width_bits = _ends(width, symbols.count)
    size = (class_bits + width_bits + 7) >> 3
    end = np.cumsum(size)
    at = (end - size) << 3
    words = np.zeros((int(end[-1]) >> 3) + 2, dtype=np.uint64)
    ones = class_end + np.repeat(at, symbols.count) - 1
    _put(words, np.ones_like(low_bits), at=ones, width=np.ones_like(width))
    low_at = width_end - width + np.repeat(at + class_bits, symbols.count)
    _put(words, low_bits, at=low_at, width=width)
    written = words.astype(">u8").tobytes()
    return [
        written[begin:stop] for begin, stop in zip((end - size).tolist(), end.tolist(), strict=True)
    ]


def _ends(width: IntColumn, count: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return where each field ends in its day, and how long the fields of each day are."""
    total = np.zeros(len(width) + 1, dtype=np.int64)
    np.cumsum(width, out=total[1:])
    stop = np.cumsum(count)
    before = total[stop - count]
    return total[1:] - np.repeat(before, count), total[stop] - before


def _put(
    words: npt.NDArray[np.uint64], bits: IntColumn, *, at: IntColumn, width: IntColumn
) -> None:
    """Write numbers into words, highest bit first; `at` rises, no two touch the same bit."""
    if not len(bits):
        return
    number = bits.astype(np.uint64)
    word = at >> 6
    over = (at & (_WORD - 1)) + width - _WORD
    here = number << np.maximum(-over, 0).astype(np.uint64)
    here >>= np.maximum(over, 0).astype(np.uint64)
    heads = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[heads]] |= np.bitwise_or.reduceat(here, heads)
    across = np.flatnonzero(over > 0)
    words[word[across] + 1] |= number[across] << (_WORD - over[across]).astype(np.uint64)


def _bit_length(number: IntColumn) -> IntColumn:
    """Return how many bits numbers below 2**53 have."""
    exponent = number.astype(np.float64).view(np.int64) >> 52
    length: IntColumn = np.maximum(exponent - 1022, 0)
    return length


def _known(stored: list[bytes], heads: list[Head]) -> IntColumn:
    """Return the known amounts of packed days, one day behind the other."""
    k, base, count, known = (
        np.array(column, dtype=np.int64)
        for column in zip(
            *((head.parameter, head.base, head.symbols, head.known) for head in heads), strict=True
        )
    )
    differs = known > count
    bodies = [day[head.size :] for day, head in zip(stored, heads, strict=True)]
    symbol = _read_bits(bodies, k, count)
    amounts = np.zeros(int(known.sum()), dtype=np.int64)
    end = np.cumsum(known)
    is_symbol = np.ones(len(amounts), dtype=bool)
    is_symbol[(end - known)[differs]] = False
    amounts[is_symbol] = symbol
    by_steps = np.repeat(differs, known)
    steps = np.where(by_steps, amounts >> 1 ^ -(amounts & 1), 0)
    total = np.cumsum(steps)
    begin = end - known
    moved = total - np.repeat(total[begin] - steps[begin], known)
    whole: IntColumn = np.where(by_steps, moved, amounts) + np.repeat(base, known)
    return whole


def _read_bits(bodies: list[bytes], k: IntColumn, count: IntColumn) -> IntColumn:
    """Return the symbols of days, one day behind the other."""
    size = np.array([len(body) for body in bodies], dtype=np.int64)
    end = np.cumsum(size) << 3
    at = end - (size << 3)
    content = b"".join(bodies) + bytes(8)
    ones = np.flatnonzero(np.unpackbits(np.frombuffer(content, dtype=np.uint8)).view(bool))
    rank = np.searchsorted(ones, at)
    stop = np.cumsum(count)
    which = np.repeat(rank - (stop - count), count) + np.arange(int(stop[-1]))
    if len(which) and int(which.max()) >= len(ones):
        raise UnreadableAmountsError("fewer bits than its intervals have")
    mark = ones[which]
    some = count > 0
    before = np.empty_like(mark)
    before[1:] = mark[:-1]
    before[(stop - count)[some]] = at[some] - 1
    width = mark - before - 1 + np.repeat(k, count)
    if len(width) and (int(width.min()) < 0 or int(width.max()) > WIDTH_MAX):
        raise UnreadableAmountsError("a symbol that is too wide")
    low_at = at.copy()
    low_at[some] = mark[stop[some] - 1] + 1
    width_end, width_bits = _ends(width, count)
    spare = end - low_at - width_bits
    marks = np.searchsorted(ones, end) - np.searchsorted(ones, end - spare)
    if ((spare < 0) | (spare > 7) | (marks != 0)).any():  # noqa: PLR2004 bits of a byte
        raise UnreadableAmountsError("the bits are not those of its intervals")
    place = width_end - width + np.repeat(low_at, count)
    windows = np.ndarray((len(content) - 7,), dtype=">u8", buffer=content, strides=(1,))
    window = windows[place >> 3].astype(np.uint64) << (place & 7).astype(np.uint64)
    low_bits = (window >> np.uint64(1) >> (63 - width).astype(np.uint64)).astype(np.int64)
    symbol: IntColumn = low_bits + (1 << width) - np.repeat(1 << k, count)
    return symbol
