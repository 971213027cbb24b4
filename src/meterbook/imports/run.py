"""
Imports one file: parse, report, store.

A file is read whole before any of it is stored. What fits in memory is stored in one transaction;
a larger file is then read a second time and stored part by part, so that memory does not grow with
it, and importing it again completes what an interruption left out.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load import LoadReport, MeterSeries, load_by_series
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.domain.import_reports import GuessReport, ImportReport, Status
from meterbook.domain.readings import Quality
from meterbook.imports.meters import find_meters
from meterbook.imports.parts import together, whole_days
from meterbook.imports.request import (
    AUTO,
    FoundMeters,
    ImportRefusedError,
    ImportRequest,
)
from meterbook.imports.seed_files import seed_format, store_seed
from meterbook.imports.summary import FileSummary
from meterbook.intake.files.broken import BrokenFileError, NoMeterFileError
from meterbook.intake.files.formats import Format, format_named, format_of
from meterbook.intake.files.parsed import FilePart
from meterbook.intake.files.sources import FileSource, sources_of
from meterbook.registry.foreign_ids import ForeignIdTakenError
from meterbook.registry.import_log import record_import
from meterbook.storage.database import Database

HELD_READINGS_MAX = 2_000_000  # 64 MB of columns; a second of other writers' waiting
REFUSALS = (BrokenFileError, ImportRefusedError, ForeignIdTakenError, OSError)


class _TakenBack(Exception):  # noqa: N818 no error: it takes the transaction back
    def __init__(self, loaded: LoadReport, found: FoundMeters) -> None:
        super().__init__()
        self.loaded, self.found = loaded, found


class CheckedFile(msgspec.Struct):
    """A file that was read once, whole, and whose lines are all right unless it has a problem."""

    path: Path
    sources: list[tuple[FileSource, Format]]
    summary: FileSummary
    held: list[FilePart] | None
    """None where it is too large to be held: it is read again."""
    guesses: list[GuessReport]
    problem: str | None = None
    """Why it is refused, in one line."""
    seed: str | None = None
    """Which of the seed's formats it has been stored as."""


def run_import(database: Database, path: Path, request: ImportRequest) -> ImportReport:
    """Import one file, or only check it, and return what became of it; it never raises for it."""
    checked = checked_file(path, request)
    if request.arriving is not None:
        request.arriving.wait_until_whole()
    return import_checked(database, checked, request)


def checked_file(path: Path, request: ImportRequest) -> CheckedFile:
    """Read a file whole; it never raises for it, and touches no database."""
    checked = CheckedFile(path, [], FileSummary(), [], [])
    try:
        if seed_format(path, request) is None:
            _read_whole(checked, request)
            _require_good(path, checked, request)
    except REFUSALS as error:
        checked.problem = _problem(path, error, request)
    return checked


def import_checked(
    database: Database, checked: CheckedFile, request: ImportRequest
) -> ImportReport:
    """Store a file that was read, or say why not."""
    if checked.problem is not None:
        return report_of(checked, request)
    try:
        loaded, found = _store(database, checked, request)
    except REFUSALS as error:
        checked.problem = _problem(checked.path, error, request)
        return report_of(checked, request)
    report = report_of(checked, request, loaded=loaded, found=found)
    if not request.dry_run:
        with database.writing() as connection:
            record_import(connection, report, account_id=request.account_id, now=request.parse.now)
    return report


def _read_whole(checked: CheckedFile, request: ImportRequest) -> None:
    passed_over: list[BrokenFileError] = []
    for source in sources_of(checked.path, request.arriving):
        try:
            format_ = format_of(source) if request.format == AUTO else format_named(request.format)
            checked.guesses += format_.guesses(source, request.parse)
        except NoMeterFileError as error:
            if not source.may_be_passed_over:
                raise
            passed_over.append(error)
            continue
        checked.sources.append((source, format_))
        for part in format_.read(source, request.parse):
            checked.summary.add(part)
            if checked.summary.readings > HELD_READINGS_MAX:
                checked.held = None
            if checked.held is not None:
                checked.held.append(part)
    if passed_over and not checked.sources:
        raise passed_over[0]
    checked.summary.note_passed_over([error.path.name for error in passed_over])
    if checked.held and len(checked.sources) > 1:
        # An archive may hold the same readings twice: our own has them as CSV and as XML.
        checked.summary.count_once(*together(checked.held))


def _require_good(path: Path, checked: CheckedFile, request: ImportRequest) -> None:
    summary = checked.summary
    if summary.rejected and not request.partial:
        first = summary.rejected[0]
        raise BrokenFileError(path, first.reason, line=first.line, column=first.column)
    if summary.is_empty:
        raise BrokenFileError(path, "holds no readings")


def _store(
    database: Database, checked: CheckedFile, request: ImportRequest
) -> tuple[LoadReport, FoundMeters]:
    seed = seed_format(checked.path, request)
    if seed is not None:
        loading = store_seed(database, checked.path, request, name=seed)
        checked.summary, checked.seed = loading.summary, seed
        return loading.load, loading.found
    total, found = LoadReport(), FoundMeters()
    for parts in _batches(checked, request):
        try:
            loaded, some = _store_once(database, parts, checked.summary, request)
        except ImportRefusedError as error:
            if request.dry_run or not total.readings:
                raise
            told = f"{error}; the {total.readings} readings before them are stored"
            raise ImportRefusedError(told) from None
        total = total.plus(loaded)
        found.meter_of |= some.meter_of
        found.new |= some.new
    return total, found


def _batches(checked: CheckedFile, request: ImportRequest) -> Iterator[list[FilePart]]:
    if checked.held is not None:
        yield checked.held
        return
    for source, format_ in checked.sources:
        for part in whole_days(format_.read(source, request.parse), zone=request.zone):
            if len(part.readings):
                yield [part]


def _store_once(
    database: Database,
    parts: list[FilePart],
    summary: FileSummary,
    request: ImportRequest,
) -> tuple[LoadReport, FoundMeters]:
    now = request.parse.now
    some, readings = together(parts)
    parts.clear()  # not to hold them twice
    if request.own_meters is not None:  # an edit stands: it takes an operator, and a reason
        quality = np.where(readings.quality == Quality.EDITED, Quality.RAW, readings.quality)
        readings = msgspec.structs.replace(readings, quality=quality)

    def work(connection: sa.Connection) -> tuple[LoadReport, FoundMeters]:
        found = find_meters(
            connection, summary.series, zones=summary.zones, request=request, now=now
        )
        known = [MeterSeries(found.meter_of[one], one.flow, one.interval_s) for one in some]
        loaded = load_by_series(connection, known, readings, default_zone=request.zone, now=now)
        if loaded.off_grid and not request.partial:
            raise ImportRefusedError(
                f"has {loaded.off_grid} readings that do not begin with an interval of the "
                "meter's local day: is the zone of the stamps, or of the meter, another?"
            )
        if request.dry_run:
            raise _TakenBack(loaded, found)
        return loaded, found

    try:
        return in_one_transaction(database, work)
    except _TakenBack as done:
        return done.loaded, done.found


def _problem(path: Path, error: Exception, request: ImportRequest) -> str:
    if isinstance(error, OSError) and error.strerror:
        problem = f"{path}: {error.strerror}"
    else:
        text = " ".join(str(error).split())
        problem = text if isinstance(error, BrokenFileError) else f"{path}: {text}"
    problem = problem.replace(str(path), request.file_name) if request.file_name else problem
    return _writable(problem)


def _writable(text: str) -> str:
    """Return a text that may be stored: a file's name may hold bytes that are no text."""
    return text.encode(errors="replace").decode().replace("\x00", "?")


def report_of(
    checked: CheckedFile,
    request: ImportRequest,
    *,
    loaded: LoadReport | None = None,
    found: FoundMeters | None = None,
) -> ImportReport:
    """Return the report of a file; without what was loaded, of one that is refused."""
    summary = checked.summary
    status: Status = "refused"
    if loaded is not None:
        status = "checked" if request.dry_run else "stored"
    loaded, found = loaded or LoadReport(), found or FoundMeters()
    formats = [checked.seed or request.format]
    if checked.sources:
        formats = [format_.name for _, format_ in checked.sources]
    return ImportReport(
        file=_writable(request.file_name or str(checked.path)),
        format=", ".join(dict.fromkeys(formats)),
        status=status,
        problem=checked.problem,
        readings=summary.readings,
        repeated=loaded.repeated,
        conflicts=loaded.conflicts,
        differing=loaded.differing,
        book_stands=checked.seed is not None,
        new_days=loaded.new_days,
        revised_days=loaded.revised_days,
        open_readings=loaded.open_readings,
        off_grid=loaded.off_grid,
        unplaced=loaded.unplaced,
        series=summary.series_reports(found.meter_of, found.new),
        series_count=len(summary.series),
        rejected=summary.rejected_count,
        rejected_lines=summary.rejected_lines(),
        left_out=summary.left_out(),
        notes=list(summary.notes),
        guesses=checked.guesses,
    )
