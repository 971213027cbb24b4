"""
Imports many files: small ones are parsed ahead of the store, and stored some to a transaction.

A transaction and the ledger's pages cost more than a year of one home. Files that are stored
together share one load, which says what all of them did; what each did is known where all their
days are new, or none is. Where it is not, that transaction is taken back and the files are
imported one after the other, with the same result.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load import LoadReport, MeterSeries, load_by_series
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.bulk_load.local_slots import local_slots
from meterbook.domain.import_reports import ImportReport
from meterbook.domain.local_days import time_zone
from meterbook.imports.meters import find_meters
from meterbook.imports.parts import together
from meterbook.imports.request import FoundMeters, ImportRequest
from meterbook.imports.run import (
    REFUSALS,
    CheckedFile,
    checked_file,
    import_checked,
    report_of,
    run_import,
)
from meterbook.registry.import_log import record_import
from meterbook.registry.meters import zones_of
from meterbook.storage.database import Database

READINGS_PER_COMMIT = 500_000  # a quarter of a second of other writers' waiting
BYTES_AHEAD = 64 << 20  # of files parsed and waiting to be stored: bounds the memory
THREADS = 2  # Polars parses on all cores by itself
_DAYS_MAX = 1 << 22


class _Unattributed(Exception):  # noqa: N818 no error: it takes the transaction back
    """What each file did cannot be told from what all did."""


def run_imports(
    database: Database, paths: Sequence[Path], request: ImportRequest
) -> Iterator[ImportReport]:
    """Import files in their order, and yield what became of each; it never raises for one."""
    if request.dry_run or len(paths) == 1:
        # One may build on another: a dry run of each alone is what it says.
        yield from (run_import(database, path, request) for path in paths)
        return
    waiting: list[CheckedFile] = []
    for checked in _checked_ahead(paths, request):
        if not _is_small(checked):
            yield from _stored(database, waiting, request)
            waiting = []
            yield import_checked(database, checked, request)
            continue
        waiting.append(checked)
        if sum(one.summary.readings for one in waiting) >= READINGS_PER_COMMIT:
            yield from _stored(database, waiting, request)
            waiting = []
    yield from _stored(database, waiting, request)


def _checked_ahead(paths: Sequence[Path], request: ImportRequest) -> Iterator[CheckedFile]:
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    ahead: deque[tuple[Future[CheckedFile], int]] = deque()
    waiting = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for path, size in zip(paths, sizes, strict=True):
            while ahead and waiting + size > BYTES_AHEAD:
                checked, bytes_done = ahead.popleft()
                waiting -= bytes_done
                yield checked.result()
            ahead.append((pool.submit(checked_file, path, request), size))
            waiting += size
        while ahead:
            yield ahead.popleft()[0].result()


def _is_small(checked: CheckedFile) -> bool:
    return (
        checked.problem is None
        and bool(checked.held)
        and 0 < checked.summary.readings < READINGS_PER_COMMIT
    )


def _stored(
    database: Database, group: list[CheckedFile], request: ImportRequest
) -> Iterator[ImportReport]:
    if len(group) > 1:
        try:
            reports = _stored_together(database, group, request)
        except (_Unattributed, *REFUSALS):
            pass
        else:
            yield from reports
            return
    for checked in group:
        yield import_checked(database, checked, request)


def _stored_together(
    database: Database, group: list[CheckedFile], request: ImportRequest
) -> list[ImportReport]:
    now = request.parse.now
    parts = [part for checked in group for part in checked.held or ()]
    series, readings = together(parts)
    zones = {name: zone for one in reversed(group) for name, zone in one.summary.zones.items()}

    def work(connection: sa.Connection) -> tuple[list[int], FoundMeters]:
        found = find_meters(connection, series, zones=zones, request=request, now=now)
        known = [MeterSeries(found.meter_of[one], one.flow, one.interval_s) for one in series]
        loaded = load_by_series(connection, known, readings, default_zone=request.zone, now=now)
        return _new_days(connection, group, loaded, found), found

    days, found = in_one_transaction(database, work)
    reports = [
        report_of(checked, request, loaded=_alone(checked, new_days), found=found)
        for checked, new_days in zip(group, days, strict=True)
    ]
    with database.writing() as connection:
        for report in reports:
            record_import(connection, report, account_id=request.account_id, now=now)
    return reports


def _alone(checked: CheckedFile, new_days: int) -> LoadReport:
    summary = checked.summary
    return LoadReport(
        readings=summary.readings,
        repeated=summary.repeated,
        conflicts=summary.conflicts,
        new_days=new_days,
    )


def _new_days(
    connection: sa.Connection, group: list[CheckedFile], loaded: LoadReport, found: FoundMeters
) -> list[int]:
    """
    Return the new days of each file.

    :raises _Unattributed: if something else happened than new days, or not to all of them.
    """
    twice = sum(one.summary.repeated + one.summary.conflicts for one in group)
    other = loaded.revised_days + loaded.differing + loaded.open_readings
    other += loaded.off_grid + loaded.unplaced
    if other or loaded.repeated + loaded.conflicts != twice:
        raise _Unattributed
    if not loaded.new_days:
        return [0] * len(group)
    zones = zones_of(connection, set(found.meter_of.values()))
    days = [_days_of(one, found, zones) for one in group]
    if sum(days) != loaded.new_days:
        raise _Unattributed
    return days


def _days_of(checked: CheckedFile, found: FoundMeters, zones: dict[int, str]) -> int:
    series, readings = together(checked.held or [])
    total = 0
    kinds = [(zones[found.meter_of[one]], one.interval_s) for one in series]
    for zone, interval_s in dict.fromkeys(kinds):
        members = np.array([kind == (zone, interval_s) for kind in kinds])
        own = readings if members.all() else readings.only(members[readings.source])
        if len(own):
            slots, _ = local_slots(own, zone=time_zone(zone), interval_s=interval_s)
            total += len(np.unique(slots.readings.source * _DAYS_MAX + slots.day))
    return total
