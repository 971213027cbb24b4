"""
`meterbook import --format lcl`: many London CSV files, parsed ahead while others are stored.

Each file is checked whole before any of it is stored. Small files are stored together, some to a
transaction; one that is too large for that is read twice, checked first and then stored part by
part, so that memory does not grow with it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from meterbook.bulk_load import LoadReport, load_by_meter
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.cli.file_outcomes import FileOutcome, ImportOptions, load_text, refusal
from meterbook.domain.reading_columns import ReadingColumns, joined
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_parts import PART_BYTES
from meterbook.intake.files.lcl import LclLimits, LclPart, lcl_parts
from meterbook.intake.files.sources import FileSource
from meterbook.storage.database import Database

READINGS_PER_COMMIT = 500_000  # a quarter of a second of other writers' waiting
BYTES_AHEAD = PART_BYTES  # of files parsed and waiting to be stored: bounds the memory
THREADS = 2  # Polars parses on all cores by itself


class _Checked(msgspec.Struct):
    path: Path
    text: str = ""
    readings: ReadingColumns | None = None
    """None where the file is too large to be held: it is read again."""
    error: Exception | None = None


def import_lcl(
    database: Database, paths: Sequence[Path], options: ImportOptions
) -> Iterator[FileOutcome]:
    """Yield what became of each file, and in the end what all of them did to the books."""
    limits = LclLimits(
        now=options.now,
        reading_kwh_max=options.reading_kwh_max,
        stamp_is_end=options.stamp_is_end,
    )
    total = LoadReport()
    waiting: list[_Checked] = []
    for checked in _checked_ahead(paths, limits):
        if checked.error is not None:
            yield refusal(checked.path, checked.error)
            continue
        waiting.append(checked)
        held = sum(len(c.readings) for c in waiting if c.readings is not None)
        if held >= READINGS_PER_COMMIT or checked.readings is None:
            total = total.plus(_store(database, waiting, limits, options))
            yield from (FileOutcome(c.path, f"{c.path}: {c.text}") for c in waiting)
            waiting = []
    total = total.plus(_store(database, waiting, limits, options))
    yield from (FileOutcome(c.path, f"{c.path}: {c.text}") for c in waiting)
    stored = "checked, nothing stored" if options.dry_run else f"stored: {load_text(total)}"
    yield FileOutcome(Path(), stored)


def _checked_ahead(paths: Sequence[Path], limits: LclLimits) -> Iterator[_Checked]:
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    ahead: deque[tuple[Future[_Checked], int]] = deque()
    waiting = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for path, size in zip(paths, sizes, strict=True):
            while ahead and waiting + size > BYTES_AHEAD:
                checked, bytes_done = ahead.popleft()
                waiting -= bytes_done
                yield checked.result()
            ahead.append((pool.submit(_check, path, limits), size))
            waiting += size
        while ahead:
            yield ahead.popleft()[0].result()


def _check(path: Path, limits: LclLimits) -> _Checked:
    try:
        large = path.stat().st_size > PART_BYTES
        parts: list[LclPart] = []
        for part in lcl_parts(FileSource(path), limits=limits):
            nothing = part.readings.only(np.empty(0, dtype=np.int64))
            kept = msgspec.structs.replace(part, readings=nothing) if large else part
            parts.append(kept)
    except (BrokenFileError, OSError) as error:
        return _Checked(path, error=error)
    readings = None if large else joined([part.readings for part in parts])
    return _Checked(path, _text(parts, readings), readings)


def _text(parts: list[LclPart], readings: ReadingColumns | None) -> str:
    rows = sum(part.rows for part in parts)
    words = [f"{rows} rows"]
    if readings is not None and len(readings):
        days = [
            datetime.fromtimestamp(int(instant), UTC).date()
            for instant in (readings.starts_at.min(), readings.starts_at.max())
        ]
        words.append(f"{days[0]} to {days[1]}")
    words += [
        f"{sum(part.repeated for part in parts)} repeated",
        f"{sum(part.conflicts for part in parts)} in conflict",
        _lines([line for part in parts for line in part.null_lines], "Null"),
        _lines([line for part in parts for line in part.off_grid_lines], "off the half hour"),
    ]
    return ", ".join(words)


def _lines(lines: list[int], name: str) -> str:
    return f"{len(lines)} {name}" + (f" (first in line {lines[0]})" if lines else "")


def _store(
    database: Database, checked: list[_Checked], limits: LclLimits, options: ImportOptions
) -> LoadReport:
    report = LoadReport()
    if options.dry_run or not checked:
        return report
    held = [c.readings for c in checked if c.readings is not None]
    if held:
        report = _load(database, joined(held), options)
    for large in (c.path for c in checked if c.readings is None):
        for part in lcl_parts(FileSource(large), limits=limits):
            report = report.plus(_load(database, part.readings, options))
    return report


def _load(database: Database, readings: ReadingColumns, options: ImportOptions) -> LoadReport:
    return in_one_transaction(
        database,
        lambda connection: load_by_meter(
            connection, readings, default_zone=options.zone.key, now=options.now
        ),
    )
