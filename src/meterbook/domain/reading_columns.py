"""
Readings as columns: what files hold millions of.

Columns of one set have equal length; position i of each belongs to reading i, and a later
position arrived later. Within one set a channel may have several readings of one interval:
`settled` says which counts.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.readings import Quality

IntColumn = npt.NDArray[np.int64]
QualityColumn = npt.NDArray[np.integer]
"""`Quality` as numbers of any width: files make them of one byte."""
_SPARSE = 8  # above this many possible keys for each that is there, sorting costs less memory
_FEW = 1 << 16


class ReadingColumns(msgspec.Struct, frozen=True):
    """Readings in the order they arrived."""

    source: IntColumn
    """Channel id, or meter ID where the channel is not known yet; shape (n,)."""
    starts_at: IntColumn
    """Start of the interval, UTC epoch seconds, shape (n,)."""
    amount: IntColumn
    """Whole Wh, shape (n,)."""
    quality: QualityColumn
    """Shape (n,)."""

    def __len__(self) -> int:
        return len(self.source)

    def only(self, wanted: npt.NDArray[np.bool_] | IntColumn | slice) -> "ReadingColumns":
        """Return the readings that a mask, a list of positions or a slice picks."""
        return ReadingColumns(
            self.source[wanted], self.starts_at[wanted], self.amount[wanted], self.quality[wanted]
        )


class Settled(msgspec.Struct, frozen=True):
    """A set of readings with at most one of each channel and interval."""

    readings: ReadingColumns
    superseded: ReadingColumns
    """Earlier readings that a later, different one took the place of."""
    repeated: int
    """Readings left out because the one before said the same."""


def reading_columns(
    source: IntColumn, starts_at: IntColumn, amount: IntColumn, *, quality: Quality = Quality.RAW
) -> ReadingColumns:
    """Return the columns of readings that all have one quality."""
    return ReadingColumns(
        source, starts_at, amount, np.full(len(source), int(quality), dtype=np.int8)
    )


def joined(parts: list[ReadingColumns]) -> ReadingColumns:
    """Return the readings of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    nothing = np.empty(0, dtype=np.int64)
    return ReadingColumns(
        *(
            np.concatenate([getattr(part, name) for part in parts] or [nothing])
            for name in ReadingColumns.__struct_fields__
        )
    )


def numbered(keys: IntColumn) -> tuple[IntColumn, IntColumn]:
    """
    Give the different keys numbers in rising order; sorts only where they lie far apart.

    :param keys: 0 or more, shape (n,), n > 0.
    :returns: the number of each key, shape (n,), and the different keys, shape (m,).
    """
    extent = int(keys.max()) + 1
    if extent > _SPARSE * len(keys) + _FEW:
        different, numbers = np.unique(keys, return_inverse=True)
        return numbers, different
    there = np.zeros(extent, dtype=bool)
    there[keys] = True
    different = np.flatnonzero(there)
    if len(different) == extent:
        return keys, different
    return (np.cumsum(there) - 1)[keys], different


def distinct(column: IntColumn) -> IntColumn:
    """Return the different numbers of a column, rising, shape (m,)."""
    if not len(column):
        return column
    lowest = int(column.min())
    different: IntColumn = numbered(column - lowest)[1] + lowest
    return different


def looked_up(keys: IntColumn, known: IntColumn, numbers: IntColumn) -> IntColumn:
    """
    Return the number that belongs to each key.

    :param keys: shape (n,); every one is among the known.
    :param known: the different keys, rising, with their numbers of shape (m,).
    """
    lowest = int(known[0])
    extent = int(known[-1]) - lowest + 1
    if extent > _SPARSE * len(keys) + _FEW:
        return numbers[np.searchsorted(known, keys)]
    table = np.zeros(extent, dtype=np.int64)
    table[known - lowest] = numbers
    return table[keys - lowest]


def settled(readings: ReadingColumns) -> Settled:
    """
    Keep the last reading of each channel and interval.

    One that says the same as the one before it is a repetition; one that says something else
    takes its place.
    """
    nothing = readings.only(np.empty(0, dtype=np.int64))
    if len(readings) < 2:  # noqa: PLR2004 a single reading has no rival
        return Settled(readings, nothing, 0)
    numbers, _ = numbered(readings.source - readings.source.min())
    first, last = int(readings.starts_at.min()), int(readings.starts_at.max())
    keys = numbers * (last - first + 1) + (readings.starts_at - first)
    if np.all(keys[1:] > keys[:-1]):
        return Settled(readings, nothing, 0)
    here, later = _rivals(keys)
    if not len(here):
        return Settled(readings, nothing, 0)
    same = (readings.amount[here] == readings.amount[later]) & (
        readings.quality[here] == readings.quality[later]
    )
    counts = np.ones(len(readings), dtype=bool)
    counts[here] = False
    return Settled(readings.only(counts), readings.only(np.sort(here[~same])), int(same.sum()))


def _rivals(keys: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return the positions of readings that have a later one of the same key, and the later's."""
    if np.all(keys[1:] >= keys[:-1]):
        here = np.flatnonzero(keys[:-1] == keys[1:])
        return here, here + 1
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    earlier = np.flatnonzero(sorted_keys[:-1] == sorted_keys[1:])
    return order[earlier], order[earlier + 1]
