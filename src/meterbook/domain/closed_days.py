"""
Closed days: one row per channel and local day.

The number of intervals says how long each is: 48 half-hours, 96 quarters, or 1 where only the
day's total is known. So a row explains itself, whatever its channel's interval is today.
"""

from collections.abc import Iterator, Sequence

import msgspec

from meterbook.domain.reading_columns import IntColumn, QualityColumn
from meterbook.domain.readings import Quality, overrules


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
    overruled: bool = False
    """Whether readings among those never counted: an edit stands, or the day's other intervals."""


def merge(earlier: ClosedDay, later: ClosedDay, *, edits_stand: bool = True) -> Merged:
    """
    Return the day with the later readings laid over the earlier ones.

    What was edited stands against whatever was not. Where the two have intervals of different
    length, the later ones count only if none is missing: a known total never shrinks to the half
    hour that happened to come in.

    :param edits_stand: False: the later ones count even where the earlier ones were edited.
    """
    if len(earlier.intervals) != len(later.intervals):
        overruled = edits_stand and _is_edited(earlier) and not _is_edited(later)
        whole = later.missing == 0 and not overruled
        loser = earlier if whole else later
        return Merged(
            later if whole else earlier, _readings(loser), len(loser.intervals), not whole
        )
    intervals = list(earlier.intervals)
    qualities = [earlier.quality_of(i) for i in range(len(intervals))]
    superseded = []
    overruled = False
    for index, amount, quality in _readings(later):
        old, old_quality = intervals[index], qualities[index]
        if old is None or (old, old_quality) == (amount, quality):
            pass
        elif edits_stand and overrules(old_quality, quality):
            superseded.append((index, amount, quality))
            overruled = True
            continue
        else:
            superseded.append((index, old, old_quality))
        intervals[index], qualities[index] = amount, quality
    merged = closed_day(earlier.channel_id, earlier.day, intervals=intervals, qualities=qualities)
    return Merged(merged, superseded, len(intervals), overruled)


def _is_edited(day: ClosedDay) -> bool:
    return Quality.EDITED in (day.qualities or [day.quality])


def _readings(day: ClosedDay) -> list[tuple[int, int, Quality]]:
    return [
        (index, amount, day.quality_of(index))
        for index, amount in enumerate(day.intervals)
        if amount is not None
    ]
