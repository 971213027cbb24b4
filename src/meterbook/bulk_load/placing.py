"""
Places readings in local days: what has ended as one table, what is open as readings.

    readings ──► settled ──► local slots ──┬─ ended days ──► fold ──► one table of days
                                           └─ open day

What becomes of a channel's readings depends on no other channel. So a few channels are placed
after the other, in the same memory: to touch new memory would cost more than the work does.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from meterbook.bulk_load.local_slots import local_slots, summed_up
from meterbook.domain.day_tables import DayTable, fold, tables_as_one
from meterbook.domain.reading_columns import ReadingColumns, joined, numbered, settled

READINGS_AT_ONCE = 1 << 17  # 1 MiB a column
_CHANNELS_SORTED_FAST = 1 << 16  # numpy sorts 16 bits in linear time


class Placed(msgspec.Struct, frozen=True):
    """Where readings belong."""

    closed: DayTable
    """The days that have ended."""
    open: ReadingColumns
    """Of days that have not, in the channels' own intervals."""
    superseded: ReadingColumns
    """Earlier readings that a later, different one took the place of."""
    repeated: int
    """Left out because an earlier one said the same."""
    off_grid: int
    """Not at the start of an interval of their local day."""
    unplaced: int
    """Of open days, in intervals that do not add up to the channel's."""


def placed(readings: ReadingColumns, *, zone: ZoneInfo, from_s: int, to_s: int, now: int) -> Placed:
    """
    Return where the readings of channels of one zone belong.

    :param from_s: length of the readings' intervals; ended days keep them.
    :param to_s: length of the channels' own intervals.
    """
    parts = [
        _placed(some, zone=zone, from_s=from_s, to_s=to_s, now=now)
        for some in _some_channels(readings)
    ]
    return Placed(
        closed=tables_as_one([part.closed for part in parts]),
        open=joined([part.open for part in parts]),
        superseded=joined([part.superseded for part in parts]),
        repeated=sum(part.repeated for part in parts),
        off_grid=sum(part.off_grid for part in parts),
        unplaced=sum(part.unplaced for part in parts),
    )


def _placed(
    readings: ReadingColumns, *, zone: ZoneInfo, from_s: int, to_s: int, now: int
) -> Placed:
    once = settled(readings)
    slots, off_grid = local_slots(once.readings, zone=zone, interval_s=from_s)
    ended = slots.day_ends_at <= now
    open_, unplaced = summed_up(slots.only(~ended).readings, zone=zone, from_s=from_s, to_s=to_s)
    closed = fold(slots.only(ended).columns())
    return Placed(closed, open_, once.superseded, once.repeated, off_grid, unplaced)


def _some_channels(readings: ReadingColumns) -> Iterator[ReadingColumns]:
    """Yield all readings of some channels, and then of others, each in order of arrival."""
    if len(readings) <= READINGS_AT_ONCE:
        yield readings
        return
    source, order = readings.source, None
    if (source[1:] < source[:-1]).any():
        numbers, different = numbered(source - source.min())
        if len(different) <= _CHANNELS_SORTED_FAST and numbers.max() < _CHANNELS_SORTED_FAST:
            numbers = numbers.astype(np.uint16)
        order = np.argsort(numbers, kind="stable")
        source = source[order]
    begins = np.r_[np.flatnonzero(source[1:] != source[:-1]) + 1, len(source)]
    full = np.arange(READINGS_AT_ONCE, len(source) + READINGS_AT_ONCE, READINGS_AT_ONCE)
    begin = 0
    for end in np.unique(begins[np.searchsorted(begins, np.minimum(full, len(source)))]).tolist():
        yield readings.only(slice(begin, end) if order is None else order[begin:end])
        begin = end
