"""Where readings lie: the local day and the interval of each, for whole columns at once."""

from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.closed_days import DayColumns
from meterbook.domain.local_days import day_number, grid_offset_s, local_day, midnight
from meterbook.domain.reading_columns import IntColumn, ReadingColumns
from meterbook.domain.readings import Quality

DAY_S = 86_400


class LocalSlots(msgspec.Struct, frozen=True):
    """Readings with their places in local days."""

    readings: ReadingColumns
    day: IntColumn
    """Days since 1970-01-01."""
    slot: IntColumn
    """Index of the interval in its local day."""
    slots_in_day: IntColumn
    day_ends_at: IntColumn

    def only(self, wanted: npt.NDArray[np.bool_]) -> "LocalSlots":
        """Return the readings that the mask picks."""
        if wanted.all():
            return self
        return LocalSlots(
            self.readings.only(wanted),
            self.day[wanted],
            self.slot[wanted],
            self.slots_in_day[wanted],
            self.day_ends_at[wanted],
        )

    def columns(self) -> DayColumns:
        """Return what `domain.closed_days.fold` takes."""
        return DayColumns(
            channel_id=self.readings.source,
            day=self.day,
            slot=self.slot,
            amount=self.readings.amount,
            quality=self.readings.quality,
            slots_in_day=self.slots_in_day,
        )


def local_slots(
    readings: ReadingColumns, *, zone: ZoneInfo, interval_s: int
) -> tuple[LocalSlots, int]:
    """
    Return the readings that lie on the grid of their local day, and how many do not.

    :param interval_s: 86400 stands for the whole local day, however long it is.
    """
    first = local_day(int(readings.starts_at.min()), zone)
    last = local_day(int(readings.starts_at.max()), zone)
    midnights = _midnights(first, last + timedelta(days=1), zone)
    index = _day_of(readings.starts_at, midnights)
    lengths = np.diff(midnights)
    # A day that the calendar skips has no interval, not even where the day is the interval. Nor
    # has one that they do not fill: a ledger's row would say that they are longer than they are.
    slots = (lengths > 0).astype(np.int64)
    if interval_s != DAY_S:
        slots = np.where(lengths % interval_s, 0, lengths // interval_s)
    since_midnight = (readings.starts_at - midnights[index]).astype(np.int32)
    slot = (since_midnight // interval_s).astype(np.int64)
    placed = LocalSlots(
        readings, index + day_number(first), slot, slots[index], midnights[index + 1]
    )
    on_grid = (since_midnight == slot * interval_s) & (slot < placed.slots_in_day)
    if on_grid.all():
        return placed, 0
    return placed.only(on_grid), int((~on_grid).sum())


@lru_cache(maxsize=64)  # channel after channel has the same days
def _midnights(first: date, last: date, zone: ZoneInfo) -> IntColumn:
    days = range((last - first).days + 1)
    return np.array([midnight(first + timedelta(days=n), zone) for n in days], dtype=np.int64)


def _day_of(starts_at: IntColumn, midnights: IntColumn) -> IntColumn:
    """Return which of the days each reading lies in: days of 24 hours, put right by the clock."""
    index: IntColumn = np.minimum((starts_at - midnights[0]) // DAY_S, len(midnights) - 2)
    index += midnights[index + 1] <= starts_at
    index -= midnights[index] > starts_at
    if ((midnights[index] > starts_at) | (midnights[index + 1] <= starts_at)).any():
        return np.searchsorted(midnights, starts_at, side="right") - 1
    return index


def summed_up(
    readings: ReadingColumns, *, zone: ZoneInfo, from_s: int, to_s: int
) -> tuple[ReadingColumns, int]:
    """
    Return the readings in longer intervals, and how many found no place in a complete one.

    The quality of a sum is that of its parts, MIXED where they differ.
    """
    if from_s == to_s or not len(readings):
        return readings, 0
    nothing = readings.only(np.empty(0, dtype=np.int64))
    if to_s % from_s:
        return nothing, len(readings)
    order = np.lexsort((readings.starts_at, readings.source))
    sorted_ = readings.only(order)
    offset = grid_offset_s(zone, interval_s=to_s)
    starts = sorted_.starts_at - (sorted_.starts_at - offset) % to_s
    begins = np.flatnonzero(np.r_[True, (np.diff(starts) != 0) | (np.diff(sorted_.source) != 0)])
    counts = np.diff(np.r_[begins, len(sorted_)])
    lowest = np.minimum.reduceat(sorted_.quality, begins)
    highest = np.maximum.reduceat(sorted_.quality, begins)
    sums = ReadingColumns(
        sorted_.source[begins],
        starts[begins],
        np.add.reduceat(sorted_.amount, begins),
        np.where(lowest == highest, lowest, int(Quality.MIXED)),
    )
    whole = counts == to_s // from_s
    return sums.only(whole), int(counts[~whole].sum())
