"""
Counters to interval energy.

A counter (dial value) only ever rises, until it rolls over at its last digit. The energy of an
interval is the difference of the counter at its two ends; between two samples the counter is
taken to rise evenly. Marks are rounded, not differences: so the intervals always add up to the
advance, to the last Wh.
"""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise


class CounterWentBackError(ValueError):
    """A cumulative counter is lower than it was: rollover, exchange or fault."""

    def __init__(self, *, earlier_wh: int, later_wh: int) -> None:
        super().__init__(f"counter fell from {earlier_wh} to {later_wh} Wh")
        self.earlier_wh = earlier_wh
        self.later_wh = later_wh


class UnorderedSamplesError(ValueError):
    """Counter samples that are not in strictly rising order of time."""


def advance_wh(
    earlier_wh: int,
    later_wh: int,
    *,
    rollover_wh: int | None = None,
    advance_wh_max: int | None = None,
) -> int:
    """
    Return the energy between two dial values, in Wh, across at most one rollover.

    :param rollover_wh: the first value the dial cannot show; None if it never rolls over.
    :param advance_wh_max: rated power times elapsed time; a fall that would need more than this
        to be a rollover is not one.
    :raises CounterWentBackError: if the counter fell and that was no rollover.
    """
    advance = later_wh - earlier_wh
    if advance >= 0:
        return advance
    if rollover_wh is not None and 0 <= later_wh < rollover_wh and earlier_wh < rollover_wh:
        advance += rollover_wh
        if advance_wh_max is None or advance <= advance_wh_max:
            return advance
    raise CounterWentBackError(earlier_wh=earlier_wh, later_wh=later_wh)


def interval_energy_wh(
    samples: Sequence[tuple[int, int]],
    *,
    marks: Sequence[int],
    rollover_wh: int | None = None,
) -> list[int | None]:
    """
    Return the energy between each two neighbouring marks, in Wh; None where no counter tells it.

    :param samples: (instant, counter_wh), instants strictly rising, shape (n,).
    :param marks: instants that bound the intervals, rising, shape (m + 1,).
    :returns: shape (m,); where all are known, they add up to the advance from first to last mark.
    :raises CounterWentBackError: if the counter falls anywhere and that is no rollover.
    :raises UnorderedSamplesError: if the instants do not rise.
    """
    if any(later[0] <= earlier[0] for earlier, later in pairwise(samples)):
        raise UnorderedSamplesError("counter samples must be in strictly rising order of time")
    instants = [instant for instant, _ in samples]
    totals = [0]
    for (_, earlier), (_, later) in pairwise(samples):
        totals.append(totals[-1] + advance_wh(earlier, later, rollover_wh=rollover_wh))
    at_marks = [_total_at(mark, instants, totals) for mark in marks]
    return [
        None if earlier is None or later is None else later - earlier
        for earlier, later in pairwise(at_marks)
    ]


def _total_at(mark: int, instants: list[int], totals: list[int]) -> int | None:
    if not instants or not instants[0] <= mark <= instants[-1]:
        return None
    right = bisect_right(instants, mark)
    if right == len(instants):
        return totals[-1]
    begin, end = instants[right - 1], instants[right]
    advance = totals[right] - totals[right - 1]
    return totals[right - 1] + risen(advance, part=mark - begin, whole=end - begin)


def risen(advance_wh: int, *, part: int, whole: int) -> int:
    """
    Return how much of the advance a counter that rises evenly has made after part of the time.

    >>> risen(1000, part=20, whole=60)
    333
    """
    # A fraction, not a float: above 2**53 Wh-seconds a float would no longer be exact.
    return round(Fraction(advance_wh * part, whole))
