"""
Sums of closed days by region: energy, channels, intervals, and each half hour of the day.

Sums are whole numbers and may be negative: a revised day is taken away as it was and added as it
is. What is known only as a total of the day, or by the hour, is in the energy but in no half hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay
from meterbook.domain.local_days import day_bounds, numbered_day
from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import ESTIMATED, HALF_HOUR_S

NO_REGION = ""
RegionDayKey = tuple[int, str, str]
"""Day, zone and region."""
KEY_NAMES = ("day", "zone", "region")
SUM_NAMES = ("energy", "channels", "known", "missing", "estimated", "half_hours", "reporting")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


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

    def row(self) -> tuple[Any, ...]:
        """Return what a table keeps, in the order of SUM_NAMES."""
        return (
            self.energy,
            self.channels,
            self.known,
            self.missing,
            self.estimated,
            _encode(self.half_hours.tolist()),
            _encode(self.reporting.tolist()),
        )

    def is_nothing(self) -> bool:
        """Say whether all sums are zero."""
        return not any((*self.row()[:5], self.half_hours.any(), self.reporting.any()))


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
    return np.array(_decode(numbers), dtype=np.int64)


def sums_of_days(
    days: Iterable[ClosedDay], *, region_of: Mapping[int, str], zone: ZoneInfo
) -> dict[RegionDayKey, DaySums]:
    """
    Return the sums of channels of one zone.

    :param region_of: the region of each channel that counts; others are left out.
    """
    groups: dict[tuple[int, str, int], list[ClosedDay]] = {}
    for day in days:
        region = region_of.get(day.channel_id)
        if region is not None:
            groups.setdefault((day.day, region, len(day.intervals)), []).append(day)
    sums: dict[RegionDayKey, DaySums] = {}
    for (number, region, _), members in groups.items():
        add(
            sums,
            (number, zone.key, region),
            _group_sums(members, slots=half_hours_in(number, zone.key)),
        )
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


def _group_sums(days: Sequence[ClosedDay], *, slots: int) -> DaySums:
    width = len(days[0].intervals)
    missing = sum(day.missing for day in days)
    energies, reporting = _by_half_hour(days, slots=slots)
    return DaySums(
        energy=sum(day.energy for day in days),
        channels=len(days),
        known=width * len(days) - missing,
        missing=missing,
        estimated=sum(_estimated(day) for day in days),
        half_hours=energies,
        reporting=reporting,
    )


def _by_half_hour(days: Sequence[ClosedDay], *, slots: int) -> tuple[IntColumn, IntColumn]:
    width = len(days[0].intervals)
    if not slots or width % slots:
        return nothing(slots).half_hours, nothing(slots).reporting
    # None becomes nan, at a fifth of what a loop costs; exact below 2**53 Wh.
    table = np.array([day.intervals for day in days], dtype=np.float64)
    known = ~np.isnan(table)
    amounts = np.where(known, table, 0).astype(np.int64)
    shape = (len(days), slots, width // slots)
    return (
        amounts.reshape(shape).sum(axis=(0, 2)),
        known.reshape(shape).any(axis=2).sum(axis=0, dtype=np.int64),
    )


def _estimated(day: ClosedDay) -> int:
    if day.qualities is None:
        return len(day.intervals) - day.missing if day.quality in ESTIMATED else 0
    return sum(day.qualities.count(int(quality)) for quality in ESTIMATED)
