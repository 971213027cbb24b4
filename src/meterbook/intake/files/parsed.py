"""
What every file parser yields, whatever the format: series of energy readings, in parts.

    bytes ──► parser ──► parts: series + columns of readings + what was left out or rejected

A parser knows no database and no clock. A row it cannot take is *rejected*, and then the whole
file is refused unless the person asked for a part of it; what a format holds that Meterbook does
not keep (reactive energy, voltage, intervals the sender marks as null) is *left out* and counted.
"""

from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.reading_columns import (
    IntColumn,
    QualityColumn,
    ReadingColumns,
    distinct,
    joined,
)
from meterbook.domain.readings import HALF_HOUR_S, Flow, Quality
from meterbook.intake.files.csv_mapping import CsvMapping

AHEAD_S_MAX = 300  # as for packets: a clock may be this much ahead of ours
DAY_S = 86_400
PART_READINGS = 500_000  # 16 MB of columns, a quarter of a second of other writers' waiting
SITE_KWH_MAX = Decimal(1_000_000)
"""Of a half hour of a whole works: more is damage, in a format that names its unit itself."""
REJECTED_KEPT_MAX = 1_000
_WH_MAX = 1 << 62
OWN = "meterbook"
"""Scheme of names that are Meterbook's own meter IDs."""


class Series(msgspec.Struct, frozen=True):
    """One flow of energy of one meter, as the file names it."""

    scheme: str
    """Who gave the name: nmi, mprn, espi, dsmr, ..., or `OWN`."""
    name: str
    """Empty where the file names no meter."""
    flow: Flow = Flow.IMPORT
    interval_s: int = HALF_HOUR_S
    """Length of each interval; 86400 stands for a local day, of 23, 24 or 25 hours."""


class LineNote(msgspec.Struct, frozen=True):
    """A line that was rejected, and why."""

    line: int
    reason: str
    column: int = 1


class LeftOut(msgspec.Struct, frozen=True):
    """Readings of a kind that is not kept."""

    count: int
    first_line: int


class FilePart(msgspec.Struct, frozen=True):
    """Some of a file's readings, in the file's order."""

    series: list[Series]
    readings: ReadingColumns
    """`source` is the position in `series`."""
    rejected: list[LineNote]
    """The first thousand of the part."""
    rejected_count: int
    left_out: dict[str, LeftOut]
    notes: list[str]
    """What a person should know: how the clock change was read, what was guessed."""
    zones: dict[tuple[str, str], str] = {}
    """Scheme and name of a meter to the IANA zone of its days, where the file says it."""


class ParseOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a file, beyond what it says itself."""

    now: int
    """UTC epoch seconds; no reading may lie later."""
    reading_kwh_max: Decimal = Decimal(1000)
    """The most a half hour may hold; other lengths in proportion."""
    stamps_zone: ZoneInfo | None = None
    """Zone of stamps without one; None: what the format says."""
    stamp_is_end: bool | None = None
    """None: what the format says."""
    unit: str | None = None
    """wh, kwh, mwh or kw where the file does not say."""
    mapping: CsvMapping = CsvMapping()
    """Of CSV and Parquet: what the person has confirmed."""


def _whole(amount: IntColumn | Sequence[int]) -> IntColumn:
    try:
        return np.asarray(amount, dtype=np.int64)
    except OverflowError:  # more than any interval may hold, which is looked at next
        return np.array([max(min(one, _WH_MAX), -1) for one in amount], dtype=np.int64)


class PartBuilder:
    """Gathers the readings of one file until there are enough for a part."""

    def __init__(self, options: ParseOptions, *, reading_kwh_max: Decimal | None = None) -> None:
        """
        Begin a file.

        :param reading_kwh_max: instead of the option's, where the format itself names the unit.
        """
        self._now = options.now
        self._kwh_max = reading_kwh_max or options.reading_kwh_max
        self._clear()

    def _clear(self) -> None:
        self._numbers: dict[Series, int] = {}
        self._columns: list[ReadingColumns] = []
        self._rejected: list[LineNote] = []
        self._rejected_count = 0
        self._left_out: dict[str, LeftOut] = {}
        self._notes: dict[str, None] = {}
        self._zones: dict[tuple[str, str], str] = {}
        self.readings = 0

    @property
    def is_full(self) -> bool:
        """Whether there are enough readings for a part."""
        return self.readings >= PART_READINGS

    def add(
        self,
        series: Series,
        *,
        starts_at: IntColumn | Sequence[int],
        amount: IntColumn | Sequence[int],
        quality: QualityColumn | Sequence[int] | Quality,
        lines: IntColumn | Sequence[int] | int,
    ) -> None:
        """
        Add readings of a series; those that cannot be are rejected with their line.

        :param starts_at: with amount (Wh), quality and lines of shape (n,).
        """
        starts = np.asarray(starts_at, dtype=np.int64)
        number = np.zeros(starts.shape, dtype=np.int64)
        self.add_many(
            [series],
            source=number,
            starts_at=starts,
            amount=_whole(amount),
            quality=np.broadcast_to(np.asarray(quality, dtype=np.int8), starts.shape),
            lines=np.broadcast_to(np.asarray(lines, dtype=np.int64), starts.shape),
        )

    def add_many(
        self,
        series: Sequence[Series],
        *,
        source: IntColumn,
        starts_at: IntColumn,
        amount: IntColumn,
        quality: QualityColumn,
        lines: IntColumn,
    ) -> None:
        """
        Add readings of several series with one interval length.

        :param source: position in `series`, with the other columns of shape (n,).
        """
        if not len(source):
            return
        there = distinct(source)
        own = np.zeros(len(series), dtype=np.int64)
        for position in there.tolist():
            one = series[position]
            if "\x00" in one.name:  # telegrams pad with it, and no database keeps it
                one = msgspec.structs.replace(one, name=one.name.replace("\x00", ""))
            own[position] = self._numbers.setdefault(one, len(self._numbers))
        interval_s = series[int(there[0])].interval_s
        fine = self._fine(interval_s, starts_at, amount, lines)
        columns = ReadingColumns(own[source], starts_at, amount, quality)
        self._columns.append(columns if fine.all() else columns.only(fine))
        self.readings += int(fine.sum())

    def _fine(
        self, interval_s: int, starts: IntColumn, amounts: IntColumn, lines: IntColumn
    ) -> npt.NDArray[np.bool_]:
        """Return which readings can be; the others are rejected."""
        fine = np.ones(len(starts), dtype=bool)
        wh_max = int(self._kwh_max * 1000 * interval_s / HALF_HOUR_S)
        ends_max = self._now + AHEAD_S_MAX
        for wrong, reason in (
            (amounts < 0, "energy below 0"),
            (amounts > wh_max, f"more than {wh_max / 1000:g} kWh in one interval"),
            (starts < 0, "lies before 1970"),
            (starts > ends_max - min(interval_s, HALF_HOUR_S), "lies in the future"),
        ):
            rows = np.flatnonzero(wrong & fine)
            for line in lines[rows[:REJECTED_KEPT_MAX]].tolist():
                self.reject(line, reason)
            if len(rows) > REJECTED_KEPT_MAX:
                self.reject(int(lines[rows[-1]]), reason, count=len(rows) - REJECTED_KEPT_MAX)
            fine &= ~wrong
        return fine

    def reject(self, line: int, reason: str, *, column: int = 1, count: int = 1) -> None:
        """Count rejected lines; the first ones are kept with their reason."""
        self._rejected_count += count
        if len(self._rejected) < REJECTED_KEPT_MAX:
            self._rejected.append(LineNote(line, reason, column))

    def leave_out(self, what: str, line: int, *, count: int = 1) -> None:
        """Count what the file holds and Meterbook does not keep."""
        if count:
            before = self._left_out.get(what, LeftOut(0, line))
            self._left_out[what] = LeftOut(before.count + count, before.first_line)

    def note(self, text: str) -> None:
        """Keep a sentence for the report, once."""
        self._notes.setdefault(text)

    def place(self, scheme: str, name: str, zone: str) -> None:
        """Keep the IANA zone of a meter's days; the first one said counts."""
        self._zones.setdefault((scheme, name), zone)

    def take(self) -> FilePart:
        """Return what was gathered since the last part."""
        part = FilePart(
            list(self._numbers),
            joined(self._columns),
            self._rejected,
            self._rejected_count,
            self._left_out,
            list(self._notes),
            self._zones,
        )
        self._clear()
        return part
