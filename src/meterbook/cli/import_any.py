"""`meterbook import`: one file, one report; and in the end what all of them did."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from meterbook.domain.import_reports import ImportReport, SeriesReport
from meterbook.imports import ImportRequest, run_imports
from meterbook.storage.database import Database

SERIES_SHOWN_MAX = 10
_LINES_SHOWN_MAX = 5
_COUNTED = {
    "revised_days": "revised days",
    "open_readings": "of days that are not over",
    "repeated": "repeated",
    "conflicts": "in conflict within the file (the last counts)",
    "differing": "different from the book",
    "off_grid": "off the local grid",
    "unplaced": "of today in other intervals: import them again tomorrow",
}


class FileOutcome(msgspec.Struct, frozen=True):
    """What is printed of one file."""

    path: Path
    line: str
    refused: bool = False


def import_any(
    database: Database, paths: Sequence[Path], request: ImportRequest, *, as_json: bool = False
) -> Iterator[FileOutcome]:
    """Yield what became of each file, and of all where there are several."""
    readings = new_days = revised_days = stored = 0
    for path, report in zip(paths, run_imports(database, paths, request), strict=True):
        refused = report.status == "refused"
        if as_json:
            yield FileOutcome(path, msgspec.json.encode(report).decode(), refused)
        else:
            yield FileOutcome(path, "\n".join(_lines(report)), refused)
        if not refused:
            stored += 1
            readings += report.readings
            new_days, revised_days = new_days + report.new_days, revised_days + report.revised_days
    if len(paths) > 1 and not as_json:
        yield FileOutcome(
            Path(),
            f"{stored} of {len(paths)} files {'checked' if request.dry_run else 'stored'}: "
            f"{readings} readings, {new_days} new days, {revised_days} revised days",
        )


def _lines(report: ImportReport) -> Iterator[str]:
    if report.status == "refused":
        yield f"meterbook: {report.problem}"
    else:
        verb = "stored" if report.status == "stored" else "checked, nothing stored"
        counts = [f"{report.readings} readings of {report.series_count} series"]
        counts.append(f"{report.new_days} new days")
        counts += [
            f"{getattr(report, name)} {words}{_which_counts(report, name)}"
            for name, words in _COUNTED.items()
            if getattr(report, name)
        ]
        yield f"{report.file}: {verb} ({report.format}): {', '.join(counts)}"
        yield from (f"  {_series_text(one)}" for one in report.series[:SERIES_SHOWN_MAX])
        if report.series_count > SERIES_SHOWN_MAX:
            yield f"  and {report.series_count - SERIES_SHOWN_MAX} more series"
    for kind in report.left_out:
        yield f"  left out: {kind.count} {kind.what} (first in line {kind.first_line})"
    if report.rejected:
        yield f"  rejected: {report.rejected} lines"
    for line in report.rejected_lines[:_LINES_SHOWN_MAX]:
        yield f"    line {line.line}: {line.reason}"
    for guess in report.guesses:
        mark = " (ambiguous)" if guess.is_ambiguous else ""
        yield f"  guessed {guess.field.replace('_', ' ')}: {guess.reading}{mark}"
    yield from (f"  note: {note}" for note in report.notes)


def _which_counts(report: ImportReport, name: str) -> str:
    if name != "differing":
        return ""
    if report.book_stands:
        return ", which stands"
    return " (the file counts, the book's are kept; edits stand)"


def _series_text(series: SeriesReport) -> str:
    number = "a new meter" if series.meter_id is None else f"meter {series.meter_id}"
    new = " (new)" if series.is_new else ""
    length = timedelta(minutes=series.interval_minutes)
    every = "daily" if length == timedelta(days=1) else f"every {series.interval_minutes} min"
    gaps = f", {series.gaps} missing between" if series.gaps else ""
    return (
        f"{series.scheme} {series.name or '(no name)'} -> {number}{new}, {series.flow}, {every}: "
        f"{series.readings} readings, {series.energy_kwh:.3f} kWh, "
        f"{series.starts_at} to {series.ends_at}{gaps}"
    )
