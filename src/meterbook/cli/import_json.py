"""
`meterbook import --format recovery` and `--format masterdb`: the seed's JSON files.

Such a file is a copy of the book, made earlier. What the book has therefore stands; where the
file says something else, that is counted and reported. Each file is one transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load import LoadReport, MeterTotals, load_by_meter, load_totals_by_meter
from meterbook.bulk_load.by_meter import known_or_new
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.cli.file_outcomes import FileOutcome, ImportOptions, load_text, refusal
from meterbook.domain.local_days import day_number, interval_starts, time_zone
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.json_by_meter import MeterObject, in_portions, read_by_meter
from meterbook.intake.files.master_json import MasterMeter, master_meter
from meterbook.intake.files.recovery_json import StampLimits, recovered_readings, recovery_day
from meterbook.registry.meters import zones_of
from meterbook.registry.personal_data import customer_of, set_customer
from meterbook.storage.database import Database

METERS_AT_ONCE = 5_000


class _MasterReport(msgspec.Struct):
    load: LoadReport
    meters: int = 0
    uneven: int = 0
    """Meters whose half-hours do not add up to their total."""
    doubtful_fins: int = 0
    kept_customers: int = 0
    """Meters whose customer the book has already, with another name or FIN."""


class _DryRun(Exception):  # noqa: N818 no error: it takes the transaction back
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def import_recovery(
    database: Database, paths: Sequence[Path], options: ImportOptions
) -> Iterator[FileOutcome]:
    """Yield what became of each recovery file."""
    limits = StampLimits(options.now, options.reading_kwh_max)
    for path in paths:

        def restore(connection: sa.Connection, path: Path = path) -> str:
            day = options.day or recovery_day(path)
            return _restore_day(connection, path, day=day, limits=limits, options=options)

        yield _outcome(database, path, restore, options)


def import_masterdb(
    database: Database, paths: Sequence[Path], options: ImportOptions
) -> Iterator[FileOutcome]:
    """Yield what became of each master database."""
    limits = StampLimits(options.now, options.reading_kwh_max)
    for path in paths:

        def restore(connection: sa.Connection, path: Path = path) -> str:
            report = _MasterReport(LoadReport())
            for portion in in_portions(read_by_meter(path), METERS_AT_ONCE):
                _load_meters(connection, portion, report, limits=limits, options=options)
            return _master_text(report)

        yield _outcome(database, path, restore, options)


def _outcome(
    database: Database, path: Path, work: Callable[[sa.Connection], str], options: ImportOptions
) -> FileOutcome:
    def tried(connection: sa.Connection) -> str:
        text = work(connection)
        if options.dry_run:
            raise _DryRun(text)
        return text

    try:
        return FileOutcome(path, f"{path}: {in_one_transaction(database, tried)}")
    except _DryRun as done:
        return FileOutcome(path, f"{path}: nothing stored; would be: {done.text}")
    except (BrokenFileError, OSError) as error:
        return refusal(path, error)


def _restore_day(
    connection: sa.Connection,
    path: Path,
    *,
    day: date,
    limits: StampLimits,
    options: ImportOptions,
) -> str:
    report = LoadReport()
    for portion in in_portions(read_by_meter(path), METERS_AT_ONCE):
        zones = _zones(connection, portion, options)
        readings = recovered_readings(portion, day=day, zones=zones, limits=limits)
        loaded = load_by_meter(
            connection,
            readings,
            default_zone=options.zone.key,
            now=options.now,
            book_stands=True,
        )
        report = report.plus(loaded)
    return load_text(report)


def _zones(
    connection: sa.Connection, portion: Sequence[MeterObject], options: ImportOptions
) -> dict[int, ZoneInfo]:
    known = zones_of(connection, [meter.meter_id for meter in portion])
    return {
        meter.meter_id: time_zone(known.get(meter.meter_id, options.zone.key)) for meter in portion
    }


def _load_meters(
    connection: sa.Connection,
    portion: Sequence[MeterObject],
    report: _MasterReport,
    *,
    limits: StampLimits,
    options: ImportOptions,
) -> None:
    zones = _zones(connection, portion, options)
    meters = [master_meter(found, zone=zones[found.meter_id], limits=limits) for found in portion]
    totals = [_totals(meter, zones[meter.meter_id]) for meter in meters]
    loaded = load_totals_by_meter(
        connection, totals, default_zone=options.zone.key, now=options.now
    )
    report.load = report.load.plus(loaded)
    report.meters += len(meters)
    report.uneven += sum(bool(total.superseded) for total in totals)
    _set_customers(connection, meters, report, options)


def _totals(meter: MasterMeter, zone: ZoneInfo) -> MeterTotals:
    days: dict[int, list[int | None]] = {
        day_number(day): [total] for day, total in meter.totals.items()
    }
    if not meter.half_hours:
        return MeterTotals(meter.meter_id, days, [])
    newest = max(meter.totals)
    if sum(amount for _, amount in meter.half_hours) != meter.totals[newest]:
        return MeterTotals(meter.meter_id, days, meter.half_hours)
    known = dict(meter.half_hours)
    days[day_number(newest)] = [known.get(start) for start in interval_starts(newest, zone)]
    return MeterTotals(meter.meter_id, days, [])


def _set_customers(
    connection: sa.Connection,
    meters: Sequence[MasterMeter],
    report: _MasterReport,
    options: ImportOptions,
) -> None:
    named = {m.meter_id: m for m in meters if m.name is not None or m.fin is not None}
    if not named:
        return
    personal = options.personal()
    numbers = np.array(sorted(named), dtype=np.int64)
    known = known_or_new(connection, numbers, default_zone=options.zone.key, now=options.now)
    for number, meter in named.items():
        report.doubtful_fins += not meter.fin_fits
        point_id = known[number][-1].meter_point_id
        there = customer_of(connection, personal, meter_point_id=point_id)
        if there == (None, None):
            set_customer(
                connection,
                personal,
                meter_point_id=point_id,
                name=meter.name,
                fin=meter.fin,
                now=options.now,
            )
        else:
            report.kept_customers += there != (meter.name, meter.fin)


def _master_text(report: _MasterReport) -> str:
    load = report.load
    words = [f"{report.meters} meters", f"{load.readings} days", f"{load.new_days} new"]
    counted = {
        "with more half-hours now": load.revised_days,
        "different from the book, which stands": load.differing,
        "meters whose previous_day does not add up to its total, which counts": report.uneven,
        "FINs with a wrong form or check letter": report.doubtful_fins,
        "customers different from the book, which stands": report.kept_customers,
    }
    return ", ".join(words + [f"{count} {name}" for name, count in counted.items() if count])
