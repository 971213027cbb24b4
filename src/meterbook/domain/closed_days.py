"""
Closed days: one row per channel and local day.

The number of intervals says how long each is: 48 half-hours, 96 quarters, or 1 where only the
day's total is known. So a row explains itself, whatever its channel's interval is today.
"""

from collections.abc import Iterator, Sequence

import msgspec

from meterbook.domain.reading_columns import IntColumn, QualityColumn
from meterbook.domain.readings import Quality


class ClosedDay(msgspec.Struct, frozen=True, gc=False):
    """The readings of one channel on one local day."""

    channel_id: int
    day: int
    """Days since 1970-01-01."""
    energy: int
    """Sum of the intervals that are known, Wh (or thousandths of the channel's unit)."""
    intervals: list[int | None]
    """One amount per interval in order of time; None is missing."""
    missing: int
    """How many intervals are missing."""
    quality: Quality
    """Of all intervals; MIXED if they differ."""
    qualities: bytes | None = None
    """One byte per interval, only where they differ."""

    def quality_of(self, index: int) -> Quality:
        """Return the quality of one interval."""
        return self.quality if self.qualities is None else Quality(self.qualities[index])


class DaySum(msgspec.Struct, frozen=True, gc=False):
    """A closed day all of one quality, without its intervals: where only the sum counts."""

    channel_id: int
    day: int
    """Days since 1970-01-01."""
    energy: int
    """Of the intervals that are known, Wh (or thousandths of the channel's unit)."""
    missing: int
    quality: Quality
    """Of the intervals that are known: at least one."""


class DaySums(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Closed days of one channel, each as in DaySum; columns of equal length."""

    channel_id: int
    day: list[int]
    """Days since 1970-01-01, each once."""
    energy: list[int]
    missing: list[int]
    quality: list[Quality]

    def each(self) -> Iterator[DaySum]:
        """Yield the days one by one."""
        columns = zip(self.day, self.energy, self.missing, self.quality, strict=True)
        return (DaySum(self.channel_id, *of_day) for of_day in columns)


class DayColumns(msgspec.Struct, frozen=True):
    """Readings as columns of equal length; at most one per channel, day and slot."""

    channel_id: IntColumn
    day: IntColumn
    slot: IntColumn
    """Index of the interval in its local day."""
    amount: IntColumn
    quality: QualityColumn
    slots_in_day: IntColumn
    """How many intervals that local day has."""


def closed_day(
    channel_id: int,
    day: int,
    *,
    intervals: Sequence[int | None],
    qualities: Sequence[Quality],
) -> ClosedDay:
    """Return the row of one channel and day, from its intervals and the quality of each."""
    known = {q for q, amount in zip(qualities, intervals, strict=True) if amount is not None}
    mixed = len(known) > 1
    return ClosedDay(
        channel_id,
        day,
        sum(amount for amount in intervals if amount is not None),
        list(intervals),
        sum(amount is None for amount in intervals),
        Quality.MIXED if mixed else next(iter(known), Quality.RAW),
        bytes(
            Quality.RAW if amount is None else q
            for q, amount in zip(qualities, intervals, strict=True)
        )
        if mixed
        else None,
    )


class Merged(msgspec.Struct, frozen=True):
    """What became of a closed day when later readings were laid over it."""

    day: ClosedDay
    superseded: list[tuple[int, int, Quality]]
    """(interval index, amount, quality) of readings that no longer count."""
    superseded_slots: int
    """How many intervals the day has that those are of."""


def merge(earlier: ClosedDay, later: ClosedDay) -> Merged:
    """
    Return the day with the later readings laid over the earlier ones.

    Where the two have intervals of different length, the later ones count only if none is
    missing: a known total never shrinks to the half hour that happened to come in.
    """
    if len(earlier.intervals) != len(later.intervals):
        whole = later.missing == 0
        loser = earlier if whole else later
        return Merged(later if whole else earlier, _readings(loser), len(loser.intervals))
    intervals = list(earlier.intervals)
    qualities = [earlier.quality_of(i) for i in range(len(intervals))]
    superseded = []
    for index, amount, quality in _readings(later):
        old = intervals[index]
        if old is not None and (old, qualities[index]) != (amount, quality):
            superseded.append((index, old, qualities[index]))
        intervals[index], qualities[index] = amount, quality
    merged = closed_day(earlier.channel_id, earlier.day, intervals=intervals, qualities=qualities)
    return Merged(merged, superseded, len(intervals))


def _readings(day: ClosedDay) -> list[tuple[int, int, Quality]]:
    return [
        (index, amount, day.quality_of(index))
        for index, amount in enumerate(day.intervals)
        if amount is not None
    ]
