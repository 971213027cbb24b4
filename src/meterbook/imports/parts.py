"""
The parts of a file: put together, and cut so that a local day is not in two of them.

A part ends where it is full, in the middle of a day. Stored as it is, that day would be closed
with its first part and revised with the second; so the last day of each series waits for the next
part. Where one day of a file is more than can be held, it is stored in pieces.
"""

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from meterbook.domain.local_days import local_day, midnight, time_zone
from meterbook.domain.reading_columns import IntColumn, ReadingColumns, distinct, joined
from meterbook.intake.files.parsed import FilePart, Series

WAITING_READINGS_MAX = 1_000_000


def together(parts: list[FilePart]) -> tuple[list[Series], ReadingColumns]:
    """Return the series of all parts, and the readings with their positions among these."""
    numbers: dict[Series, int] = {}
    columns = []
    for part in parts:
        own = [numbers.setdefault(one, len(numbers)) for one in part.series]
        source = np.array(own, dtype=np.int64)[part.readings.source]
        columns.append(msgspec.structs.replace(part.readings, source=source))
    return list(numbers), joined(columns)


def whole_days(parts: Iterator[FilePart], *, zone: str) -> Iterator[FilePart]:
    """
    Yield the parts with each day in one of them, as long as no more than a limit must wait.

    :param zone: whose days, where the file does not say it: that of new meters. The days of a
        known meter in another zone may still be cut.
    """
    waiting: FilePart | None = None
    for part in parts:
        series, readings = together([part] if waiting is None else [waiting, part])
        said = set(part.zones.values())
        days = _days(readings.starts_at, time_zone(said.pop() if len(said) == 1 else zone))
        # A file may run backward: the day of a series' last row goes on, not its newest day.
        last = np.zeros(len(series), dtype=np.int64)
        last[readings.source] = days
        here = {part.series[number] for number in distinct(part.readings.source).tolist()}
        is_here = np.array([one in here for one in series], dtype=bool)
        goes_on = (days == last[readings.source]) & is_here[readings.source]
        if goes_on.sum() > WAITING_READINGS_MAX:
            goes_on[:] = False
        yield _part_of(part, series, readings.only(~goes_on))
        waiting = _part_of(part, series, readings.only(goes_on))
    if waiting is not None:
        yield waiting


def _days(starts_at: IntColumn, zone: ZoneInfo) -> IntColumn:
    if not len(starts_at):
        return starts_at
    first, last = (local_day(int(at), zone) for at in (starts_at.min(), starts_at.max()))
    midnights = [
        midnight(first + timedelta(days=number), zone) for number in range((last - first).days + 1)
    ]
    return np.searchsorted(np.array(midnights, dtype=np.int64), starts_at, side="right")


def _part_of(part: FilePart, series: list[Series], readings: ReadingColumns) -> FilePart:
    there = distinct(readings.source)
    own = msgspec.structs.replace(readings, source=np.searchsorted(there, readings.source))
    return msgspec.structs.replace(
        part, series=[series[number] for number in there.tolist()], readings=own
    )
