"""
Stamps on a local clock, as files without offsets hold them, to instants.

When the clocks go back an hour is there twice, and only the order of the file tells which is
which: in a file that runs forward the first 01:30 is summer time, in one that has the newest row
first it is the second. When they go forward an hour does not exist; a stamp in it is wrong.

    Europe/Dublin, 29 October 2023, a file that runs forward
    local  00:30  01:00  01:30  01:00  01:30  02:00
    UTC    23:30  00:00  00:30  01:00  01:30  02:00
"""

from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.local_days import local_time
from meterbook.domain.reading_columns import IntColumn

_STEP_S = 900  # no zone has changed its clock off a quarter hour since 1970
_DAY_S = 86_400
_FEW = 2
_LAST = 4_102_444_800  # the year 2100
NO_SUCH_TIME = np.iinfo(np.int64).min


class LocalInstants(msgspec.Struct, frozen=True):
    """Instants of local stamps."""

    instant: IntColumn
    """UTC epoch seconds; NO_SUCH_TIME where the clock never shows the stamp; shape (n,)."""
    doubled: int
    """How many stamps lie in an hour that is there twice."""
    skipped: int
    """How many lie in an hour that does not exist."""
    doubled_at: IntColumn
    """Positions of those in an hour that is there twice."""


class OtherPieces(msgspec.Struct, frozen=True):
    """What is known of the rest of a file that is read in pieces."""

    had: Callable[[int, int], bool] = lambda _group, _stamp: False
    """Whether the piece before had this stamp of this group."""
    goes_on: bool = False
    """There is another piece."""
    falls: bool = False
    """The file so far has the newest rows first."""


_ALONE = OtherPieces()


def local_instants(
    stamps: IntColumn,
    *,
    zone: ZoneInfo,
    group: IntColumn,
    are_ends: bool = False,
    others: OtherPieces = _ALONE,
) -> LocalInstants:
    """
    Return the instants of local stamps.

    :param stamps: seconds since 1970-01-01 00:00 on the local clock, in the file's order.
    :param group: whose stamps they are, 0 or more: order counts within one group only, shape (n,).
    :param are_ends: of intervals; then the first time that the clock skips is the last one's end.
    """
    if not len(stamps):
        return LocalInstants(stamps, 0, 0, stamps)
    # A damaged year must not make us walk through millennia; such a stamp is refused later on.
    first, last = np.clip([stamps.min(), stamps.max()], 0, _LAST).tolist()
    changes, offsets = _changes(first // _DAY_S - 2, last // _DAY_S + 3, zone)
    if not len(changes):
        return LocalInstants(stamps - offsets[0], 0, 0, stamps[:0])
    # On the local clock a change begins and ends at two times: before it, and after it.
    before, after = changes + offsets[:-1], changes + offsets[1:]
    lows, highs = np.minimum(before, after), np.maximum(before, after)
    index = np.searchsorted(lows, stamps, side="right")
    near = np.maximum(index - 1, 0)
    between = (index > 0) & (stamps < highs[near])
    falls = (after < before)[near]
    instant = stamps - offsets[index]
    doubled, skipped = between & falls, between & ~falls
    if are_ends:
        last = skipped & (stamps == lows[near])
        instant[last] = changes[near[last]]
        skipped &= ~last
    instant[skipped] = NO_SUCH_TIME
    if doubled.any():
        early = stamps - offsets[near]
        early_ones = doubled & _is_first(stamps, group, doubled, others)
        instant[early_ones] = early[early_ones]
    doubled_at = np.flatnonzero(doubled)
    return LocalInstants(instant, len(doubled_at), int(skipped.sum()), doubled_at)


@lru_cache(maxsize=64)  # the parts of a file lie in the same years
def _changes(first_day: int, end_day: int, zone: ZoneInfo) -> tuple[IntColumn, IntColumn]:
    """Return when the clock changes, shape (m,), and its offsets around that, shape (m + 1,)."""
    offsets = [_offset_s(first_day * _DAY_S, zone)]
    changes: list[int] = []
    for day in range(first_day * _DAY_S, end_day * _DAY_S, _DAY_S):
        if _offset_s(day + _DAY_S, zone) == _offset_s(day, zone):
            continue
        for instant in range(day + _STEP_S, day + _DAY_S + 1, _STEP_S):
            offset = _offset_s(instant, zone)
            if offset != offsets[-1]:
                changes.append(instant)
                offsets.append(offset)
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _offset_s(instant: int, zone: ZoneInfo) -> int:
    offset = local_time(instant, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _is_first(
    stamps: IntColumn, group: IntColumn, doubled: npt.NDArray[np.bool_], others: OtherPieces
) -> npt.NDArray[np.bool_]:
    """Return which stamps of a doubled hour are the earlier ones, by the order of their file."""
    first = np.zeros(len(stamps), dtype=bool)
    rises = _net_rises(stamps, group)
    seen: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(doubled).tolist():
        seen.setdefault((int(group[row]), int(stamps[row])), []).append(row)
    last = np.zeros(int(group.max()) + 1, dtype=np.int64)
    last[group] = np.arange(len(group))
    for (member, stamp), at in seen.items():
        # Within the doubled hour a few rows rise and fall whatever the file does.
        falls = rises[member] < 0 or (others.falls and rises[member] <= _FEW)
        if len(at) == 1 and others.had(member, stamp):
            first[at] = falls
        elif len(at) == 1 and others.goes_on:
            # The piece ends within the hour: its other half is in the next one.
            first[at] = not falls and doubled[last[member]]
        elif len(at) > 1:
            # A row of the hour that is there once stays with the later instant: winter time.
            half = at[len(at) // 2 :] if falls else at[: (len(at) + 1) // 2]
            first[half] = True
    return first


def _net_rises(stamps: IntColumn, group: IntColumn) -> list[float]:
    """Return how many more stamps of each group rise than fall, from one to the next."""
    if (group[1:] < group[:-1]).any():
        order = np.argsort(group, kind="stable")
        stamps, group = stamps[order], group[order]
    within = np.flatnonzero(group[1:] == group[:-1])
    steps = np.sign(stamps[within + 1] - stamps[within])
    rises: list[float] = np.bincount(
        group[within], weights=steps, minlength=int(group.max()) + 1
    ).tolist()
    return rises
