"""
Closed days as one table: what a close or an import writes at once.

Days of 46, 48 and 50 intervals share a table as wide as the longest; `slots` says how much of a
row is its own.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.closed_days import ClosedDay, DayColumns
from meterbook.domain.day_packing import encode_table
from meterbook.domain.packed_days import decode_many
from meterbook.domain.reading_columns import IntColumn, numbered
from meterbook.domain.readings import Quality

DayRow = tuple[int, int, int, bytes, int, int, bytes | None]
"""Channel, day, energy, packed intervals, missing, quality and qualities."""


class DayTable(msgspec.Struct, frozen=True, eq=False):
    """Closed days of channels, one row each, by day and channel."""

    channel_id: IntColumn
    """Shape (n,), as every column here."""
    day: IntColumn
    slots: IntColumn
    """How many intervals the day has."""
    amounts: IntColumn
    """Shape (n, longest day); 0 where missing."""
    present: npt.NDArray[np.bool_]
    """Shape (n, longest day)."""
    qualities: npt.NDArray[np.uint8]
    """Shape (n, longest day); RAW where missing."""

    def __len__(self) -> int:
        return len(self.channel_id)

    def parts(self, rows_max: int) -> Iterator["DayTable"]:
        """Yield the rows in their order, so many at once."""
        for begin in range(0, len(self), rows_max):
            rows = slice(begin, begin + rows_max)
            yield DayTable(*(column[rows] for column in msgspec.structs.astuple(self)))

    def rows(self) -> Iterator[DayRow]:
        """Yield the rows as they are stored."""
        quality, qualities = self._qualities()
        return zip(
            self.channel_id.tolist(),
            self.day.tolist(),
            self.amounts.sum(axis=1).tolist(),
            encode_table(self.amounts, present=self.present, slots=self.slots),
            self._missing(),
            quality,
            qualities,
            strict=True,
        )

    def days(self) -> list[ClosedDay]:
        """Return the rows one by one."""
        quality, qualities = self._qualities()
        return [
            *map(
                ClosedDay,
                self.channel_id.tolist(),
                self.day.tolist(),
                self.amounts.sum(axis=1).tolist(),
                self._intervals(),
                self._missing(),
                map(Quality, quality),
                qualities,
            )
        ]

    def _missing(self) -> list[int]:
        missing: list[int] = (self.slots - self.present.sum(axis=1)).tolist()
        return missing

    def _intervals(self) -> list[list[int | None]]:
        intervals: list[list[int | None]] = self.amounts.tolist()
        longest = self.amounts.shape[1]
        for row in np.flatnonzero(self.slots != longest).tolist():
            del intervals[row][int(self.slots[row]) :]
        is_gap = ~self.present
        is_gap &= np.arange(longest) < self.slots[:, None]
        for row, column in zip(*(part.tolist() for part in np.nonzero(is_gap)), strict=True):
            intervals[row][column] = None
        return intervals

    def _qualities(self) -> tuple[list[int], list[bytes | None]]:
        lowest = np.where(self.present, self.qualities, 255).min(axis=1, initial=255)
        highest = np.where(self.present, self.qualities, 0).max(axis=1, initial=0)
        mixed = lowest < highest
        each: list[bytes | None] = [None] * len(self)
        for row in np.flatnonzero(mixed).tolist():
            each[row] = self.qualities[row, : int(self.slots[row])].tobytes()
        alike = np.where(lowest > highest, int(Quality.RAW), lowest)  # none is known
        return np.where(mixed, int(Quality.MIXED), alike).tolist(), each


def fold(columns: DayColumns) -> DayTable:
    """Return one row per channel and day, by day and channel; no reading, no row."""
    if not len(columns.channel_id):
        none = np.empty((0, 0), dtype=np.int64)
        return DayTable(*(none[:, 0:0].ravel(),) * 3, none, none > 0, none.astype(np.uint8))
    first_day, first_channel = columns.day.min(), columns.channel_id.min()
    width = int(columns.channel_id.max() - first_channel) + 1
    keys = (columns.day - first_day) * width + (columns.channel_id - first_channel)
    row_of, keys = numbered(keys)
    slots = np.empty(len(keys), dtype=np.int64)
    slots[row_of] = columns.slots_in_day
    shape = (len(keys), int(slots.max()))
    cells = row_of * shape[1] + columns.slot
    amounts = np.zeros(shape, dtype=np.int64)
    amounts.ravel()[cells] = columns.amount
    present = np.zeros(shape, dtype=bool)
    present.ravel()[cells] = True
    qualities = np.full(shape, int(Quality.RAW), dtype=np.uint8)
    qualities.ravel()[cells] = columns.quality
    channel_id, day = keys % width + first_channel, keys // width + first_day
    return DayTable(channel_id, day, slots, amounts, present, qualities)


def table_of(days: Sequence[ClosedDay]) -> DayTable:
    """Return days as a table, in their order; amounts are exact below 2**53."""
    slots = np.array([len(day.intervals) for day in days], dtype=np.int64)
    shape = (len(days), int(slots.max(initial=0)))
    amounts = np.zeros(shape, dtype=np.int64)
    present = np.zeros(shape, dtype=bool)
    qualities = np.full(shape, int(Quality.RAW), dtype=np.uint8)
    for length in np.unique(slots).tolist():
        rows = np.flatnonzero(slots == length)
        members = [days[row] for row in rows.tolist()]
        # None becomes nan, at a fifth of what a loop costs.
        numbers = np.array([day.intervals for day in members], dtype=np.float64)
        present[rows, :length] = ~np.isnan(numbers)
        amounts[rows, :length] = np.nan_to_num(numbers)
        alike = np.array([int(day.quality) for day in members], dtype=np.uint8)
        qualities[rows, :length] = np.where(present[rows, :length], alike[:, None], Quality.RAW)
        for row, day in zip(rows.tolist(), members, strict=True):
            if day.qualities is not None:
                qualities[row, :length] = np.frombuffer(day.qualities, dtype=np.uint8)
    return DayTable(
        np.array([day.channel_id for day in days], dtype=np.int64),
        np.array([day.day for day in days], dtype=np.int64),
        slots, amounts, present, qualities,
    )  # fmt: skip


def tables_as_one(tables: Sequence[DayTable]) -> DayTable:
    """Return the rows of tables that have no channel and day in common, by day and channel."""
    if len(tables) == 1:
        return tables[0]
    day = np.concatenate([table.day for table in tables])
    channel_id = np.concatenate([table.channel_id for table in tables])
    order = np.lexsort((channel_id, day))
    row_of = np.empty(len(order), dtype=np.int64)
    row_of[order] = np.arange(len(order))
    shape = (len(order), max(table.amounts.shape[1] for table in tables))
    slots = np.empty(len(order), dtype=np.int64)
    amounts = np.zeros(shape, dtype=np.int64)
    present = np.zeros(shape, dtype=bool)
    qualities = np.full(shape, int(Quality.RAW), dtype=np.uint8)
    begin = 0
    for table in tables:
        rows, length = row_of[begin : begin + len(table)], table.amounts.shape[1]
        slots[rows] = table.slots
        amounts[rows, :length] = table.amounts
        present[rows, :length] = table.present
        qualities[rows, :length] = table.qualities
        begin += len(table)
    return DayTable(channel_id[order], day[order], slots, amounts, present, qualities)


def stored_days(rows: Sequence[Any]) -> list[ClosedDay]:
    """
    Return the days that rows of the ledger or of its revisions hold.

    :param rows: with the columns of a `DayRow` as attributes.
    :raises meterbook.domain.packed_amounts.UnreadableAmountsError: if one cannot be read.
    """
    return [
        ClosedDay(
            row.channel_id,
            row.day,
            row.energy,
            intervals,
            row.missing,
            Quality(row.quality),
            None if row.qualities is None else bytes(row.qualities),
        )
        for row, intervals in zip(rows, decode_many([row.intervals for row in rows]), strict=True)
    ]
