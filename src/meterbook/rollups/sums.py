"""
Sums of closed days by region: energy, channels, intervals, and each half hour of the day.

Sums are whole numbers and may be negative: a revised day is taken away as it was and added as it
is. What is known only as a total of the day, or by the hour, is in the energy but in no half hour.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.domain.day_packing import encode_whole
from meterbook.domain.day_tables import DayTable
from meterbook.domain.local_days import day_bounds, numbered_day
from meterbook.domain.packed_amounts import decode
from meterbook.domain.reading_columns import IntColumn, distinct, looked_up
from meterbook.domain.readings import ESTIMATED, HALF_HOUR_S

NO_REGION = ""
_NOT_COUNTED = "\0"  # no region has this name
_ESTIMATED = [int(quality) for quality in ESTIMATED]
RegionDayKey = tuple[int, str, str]
"""Day, zone and region."""
KEY_NAMES = ("day", "zone", "region")
SUM_NAMES = ("energy", "channels", "known", "missing", "estimated", "half_hours", "reporting")


class DaySums(msgspec.Struct, frozen=True, eq=False):
    """What the channels of one region add up to on one local day, or how that changes."""

    energy: int
    """Wh."""
    channels: int
    """With any reading that day."""
    known: int
    """Intervals with a reading, each channel's counted by itself."""
    missing: int
    estimated: int
    """Of the known ones."""
    half_hours: IntColumn
    """Wh, shape (half-hours of the day,)."""
    reporting: IntColumn
    """Channels that have a reading of the half hour, shape (half-hours of the day,)."""

    def plus(self, other: "DaySums", *, times: int = 1) -> "DaySums":
        """Return both together, the other one times 1 or -1."""
        return DaySums(
            self.energy + times * other.energy,
            self.channels + times * other.channels,
            self.known + times * other.known,
            self.missing + times * other.missing,
            self.estimated + times * other.estimated,
            self.half_hours + times * other.half_hours,
            self.reporting + times * other.reporting,
        )

    def is_nothing(self) -> bool:
        """Say whether all sums are zero."""
        counted = (self.energy, self.channels, self.known, self.missing, self.estimated)
        return not any((*counted, self.half_hours.any(), self.reporting.any()))


def rows_of(sums: Mapping[RegionDayKey, DaySums]) -> list[tuple[Any, ...]]:
    """
    Return what a table keeps, by key; nothing has no row.

    Columns in the order of KEY_NAMES and SUM_NAMES.
    """
    some = [(key, sums[key]) for key in sorted(sums) if not sums[key].is_nothing()]
    columns = ([day.half_hours for _, day in some], [day.reporting for _, day in some])
    half_hours, reporting = map(encode_whole, columns)
    return [
        (*key, day.energy, day.channels, day.known, day.missing, day.estimated, *packed)
        for (key, day), *packed in zip(some, half_hours, reporting, strict=True)
    ]


def stored_sums(row: sa.Row[*tuple[Any, ...]]) -> DaySums:
    """Return the sums a table keeps."""
    return DaySums(
        row.energy,
        row.channels,
        row.known,
        row.missing,
        row.estimated,
        unpacked(row.half_hours),
        unpacked(row.reporting),
    )


def unpacked(numbers: bytes) -> IntColumn:
    """Return one number for each half hour of the day."""
    return np.array(decode(numbers), dtype=np.int64)


def sums_of_days(
    days: DayTable, *, region_of: Mapping[int, str], zone: ZoneInfo
) -> dict[RegionDayKey, DaySums]:
    """
    Return the sums of channels of one zone.

    :param region_of: the region of each channel that counts; others are left out.
    """
    sums: dict[RegionDayKey, DaySums] = {}
    names = sorted(set(region_of.values()))
    places = {name: place for place, name in enumerate(names)}
    numbers = distinct(days.channel_id)
    region = np.array(
        [places.get(region_of.get(n, _NOT_COUNTED), -1) for n in numbers.tolist()], dtype=np.int64
    )
    region_at = looked_up(days.channel_id, numbers, region) if len(days) else days.channel_id
    for length in distinct(days.slots).tolist():
        rows = np.flatnonzero((days.slots == length) & (region_at >= 0))
        keys = days.day[rows] * len(names) + region_at[rows]
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        begins = np.flatnonzero(np.r_[True, np.diff(keys) != 0]) if len(rows) else rows
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(rows)], strict=False):
            number, place = divmod(int(keys[begin]), len(names))
            group = _group_sums(
                days, rows[begin:end], length=length, slots=half_hours_in(number, zone.key)
            )
            add(sums, (number, zone.key, names[place]), group)
    return sums


def add(
    sums: dict[RegionDayKey, DaySums], key: RegionDayKey, more: DaySums, *, times: int = 1
) -> None:
    """Add to the sums of a key, times 1 or -1."""
    before = sums.get(key) or nothing(len(more.half_hours))
    sums[key] = before.plus(more, times=times)


def nothing(slots: int) -> DaySums:
    """Return the sums of no channels on a day of so many half-hours."""
    zeros = np.zeros(slots, dtype=np.int64)
    return DaySums(0, 0, 0, 0, 0, zeros, zeros)


@lru_cache(maxsize=4096)
def half_hours_in(number: int, zone: str) -> int:
    """Return how many half-hours a local day has: 46, 48 or 50, others on odd zones."""
    begins_at, ends_at = day_bounds(numbered_day(number), ZoneInfo(zone))
    return (ends_at - begins_at) // HALF_HOUR_S


def _group_sums(days: DayTable, rows: IntColumn, *, length: int, slots: int) -> DaySums:
    is_block = rows[-1] - rows[0] == len(rows) - 1  # then nothing needs to be copied
    picked = slice(int(rows[0]), int(rows[-1]) + 1) if is_block else rows
    amounts, present = days.amounts[picked, :length], days.present[picked, :length]
    by_slot = present.sum(axis=0, dtype=np.int64)
    known = int(by_slot.sum())
    estimated = np.isin(days.qualities[picked, :length], _ESTIMATED) & present
    energies = amounts.sum(axis=0)
    halves = nothing(slots)
    if slots and length % slots == 0:
        each = length // slots
        reporting = present.reshape(len(rows), slots, each).any(axis=2) if each > 1 else present
        halves = msgspec.structs.replace(
            halves,
            half_hours=energies.reshape(slots, each).sum(axis=1),
            reporting=reporting.sum(axis=0, dtype=np.int64),
        )
    return msgspec.structs.replace(
        halves,
        energy=int(energies.sum()),
        channels=len(rows),
        known=known,
        missing=length * len(rows) - known,
        estimated=int(estimated.sum()),
    )
