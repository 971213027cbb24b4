"""
Reads many packed days at once; `packed_amounts` reads one, `day_packing` packs them.

All happens on one flat column of the known amounts of all days, so that a day of 1,440 minutes and
one of 46 half hours go through the same few NumPy calls.
"""

from collections.abc import Sequence

import numpy as np

from meterbook.domain.packed_amounts import (
    WIDTH_MAX,
    Amounts,
    Head,
    UnreadableAmountsError,
    decode,
    is_packed,
    read_head,
    with_gaps,
)
from meterbook.domain.reading_columns import IntColumn

_DAYS_AT_ONCE = 128
_FEW = 8  # days; so many are faster one by one


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


def _ends(width: IntColumn, count: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return where each field ends in its day, and how long the fields of each day are."""
    total = np.zeros(len(width) + 1, dtype=np.int64)
    np.cumsum(width, out=total[1:])
    stop = np.cumsum(count)
    before = total[stop - count]
    return total[1:] - np.repeat(before, count), total[stop] - before


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
