"""What a file holds, counted part by part: memory grows with its series, not its readings."""

from datetime import timedelta

import msgspec
import numpy as np

from meterbook.domain.import_reports import LeftOutKind, RejectedLine, SeriesReport
from meterbook.domain.local_days import utc_text
from meterbook.domain.reading_columns import ReadingColumns, settled
from meterbook.domain.readings import Flow
from meterbook.domain.units import wh_to_kwh
from meterbook.intake.files.parsed import DAY_S, FilePart, LineNote, Series

SERIES_SHOWN_MAX = 1_000
LINES_SHOWN_MAX = 100
NAMES_SHOWN_MAX = 10
_LONGEST_DAY_S = int(timedelta(hours=25).total_seconds())


class _SeriesCount(msgspec.Struct):
    readings: int
    energy_wh: int
    first: int
    last: int


class FileSummary:
    """
    The readings of a file, counted.

    `repeated` and `conflicts` are those within one part; a file of several may have more.
    """

    def __init__(self) -> None:
        self.rejected_count = 0
        self.rejected: list[LineNote] = []
        self.notes: dict[str, None] = {}
        self.readings = 0
        self.zones: dict[tuple[str, str], str] = {}
        self.repeated = 0
        self.conflicts = 0
        self._series: dict[Series, _SeriesCount] = {}
        self._left_out: dict[str, LeftOutKind] = {}

    @property
    def series(self) -> list[Series]:
        """The series that have any reading."""
        return list(self._series)

    @property
    def is_empty(self) -> bool:
        """Whether the file says nothing at all."""
        return not (self.readings or self._left_out or self.rejected_count)

    def add(self, part: FilePart) -> None:
        """Count a part."""
        self.rejected_count += part.rejected_count
        self.rejected += part.rejected[: LINES_SHOWN_MAX - len(self.rejected)]
        self.notes |= dict.fromkeys(part.notes)
        self.readings += len(part.readings)
        self.zones = part.zones | self.zones
        for what, left in part.left_out.items():
            before = self._left_out.get(what, LeftOutKind(what, 0, left.first_line))
            self._left_out[what] = msgspec.structs.replace(before, count=before.count + left.count)
        once = settled(part.readings)
        self.repeated += once.repeated
        self.conflicts += len(once.superseded)
        self._add_readings(part.series, once.readings)

    def count_once(self, series: list[Series], readings: ReadingColumns) -> None:
        """Count each series anew, from all readings at once: what is there twice counts once."""
        once = settled(readings)
        self.repeated, self.conflicts = once.repeated, len(once.superseded)
        self._series = {}
        self._add_readings(series, once.readings)

    def note_passed_over(self, names: list[str]) -> None:
        """Note which files of an archive are no files of readings."""
        if names:
            more = len(names) - NAMES_SHOWN_MAX
            shown = ", ".join(names[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
            self.notes[f"passed over, no meter file: {shown}"] = None

    def _add_readings(self, series: list[Series], once: ReadingColumns) -> None:
        if not len(once):
            return
        rises = bool(np.all(once.source[1:] >= once.source[:-1]))
        sorted_ = once if rises else once.only(np.argsort(once.source, kind="stable"))
        begins = np.flatnonzero(np.r_[True, np.diff(sorted_.source) != 0])
        counts = np.diff(np.r_[begins, len(sorted_)])
        energies = np.add.reduceat(sorted_.amount, begins)
        firsts = np.minimum.reduceat(sorted_.starts_at, begins)
        lasts = np.maximum.reduceat(sorted_.starts_at, begins)
        for number, count, energy, first, last in zip(
            sorted_.source[begins].tolist(), counts.tolist(), energies.tolist(),
            firsts.tolist(), lasts.tolist(), strict=True,
        ):  # fmt: skip
            known = self._series.setdefault(series[number], _SeriesCount(0, 0, first, last))
            known.readings += count
            known.energy_wh += energy
            known.first, known.last = min(known.first, first), max(known.last, last)

    def left_out(self) -> list[LeftOutKind]:
        """Return what is left out, the most first."""
        return sorted(self._left_out.values(), key=lambda kind: -kind.count)

    def rejected_lines(self) -> list[RejectedLine]:
        """Return the first rejected lines."""
        return [RejectedLine(note.line, note.column, note.reason) for note in self.rejected]

    def series_reports(self, meter_of: dict[Series, int], new: set[int]) -> list[SeriesReport]:
        """Return what the report says of each of the first series."""
        reports = []
        for series, count in list(self._series.items())[:SERIES_SHOWN_MAX]:
            number = meter_of.get(series)
            reports.append(
                SeriesReport(
                    name=series.name,
                    scheme=series.scheme,
                    meter_id=number,
                    is_new=number in new,
                    flow="import" if series.flow == Flow.IMPORT else "export",
                    interval_minutes=series.interval_s // 60,
                    readings=count.readings,
                    energy_kwh=wh_to_kwh(count.energy_wh),
                    starts_at=utc_text(count.first),
                    ends_at=utc_text(count.last + series.interval_s),
                    gaps=_gaps(series, count),
                )
            )
        return reports


def _gaps(series: Series, count: _SeriesCount) -> int:
    span = count.last - count.first
    # A span of local days may be an hour longer or shorter than so many times 24 hours.
    expected = round(span / DAY_S) if series.interval_s == DAY_S else span // series.interval_s
    return max(expected + 1 - count.readings, 0)
