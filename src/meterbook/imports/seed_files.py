"""
The seed's two JSON files: recovery files and master databases.

Such a file is a copy of the book, made earlier. What the book has therefore stands; where the
file says something else, that is counted and reported. A file is one transaction, in portions of
meters, so that memory does not grow with it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load import LoadReport, MeterTotals, load_by_meter, load_totals_by_meter
from meterbook.bulk_load.by_meter import known_or_new
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.domain.local_days import day_number, interval_starts, midnight, time_zone
from meterbook.domain.reading_columns import ReadingColumns, distinct, reading_columns
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.imports.request import AUTO, FoundMeters, ImportRefusedError, ImportRequest
from meterbook.imports.summary import FileSummary
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.formats import SEED_FORMATS
from meterbook.intake.files.json_by_meter import MeterObject, in_portions, read_by_meter
from meterbook.intake.files.master_json import MasterMeter, master_meter
from meterbook.intake.files.parsed import DAY_S, OWN, FilePart, LineNote, Series
from meterbook.intake.files.recovery_json import StampLimits, recovery_day, stamped_energy
from meterbook.intake.files.sources import FileSource
from meterbook.registry.meters import zones_of
from meterbook.registry.personal_data import customer_of, set_customer
from meterbook.storage.database import Database

RECOVERY, MASTERDB = SEED_FORMATS
METERS_AT_ONCE = 5_000
_COUNTED = {
    "uneven": "meters whose previous_day does not add up to its total, which counts",
    "doubtful": "FINs with a wrong form or check letter",
    "kept": "customers different from the book, which stands",
}
HEAD_BYTES = 4_096
_METER = rb'\s*\{\s*"[0-9-]{1,32}"\s*:\s*\{\s*"'
_BEGINS = {
    RECOVERY: re.compile(_METER + rb"[0-9]{2}:[0-9]{2}"),
    MASTERDB: re.compile(_METER + rb'(?:name"|fin_no"|previous_day"|[0-9]{4}-[0-9]{2}-[0-9]{2}")'),
}
Item = TypeVar("Item")


def seed_format(path: Path, request: ImportRequest) -> str | None:
    """
    Return which of the two it is, as was said or as the file begins; None: another format.

    :raises OSError: if it cannot be read.
    """
    if request.format != AUTO:
        return request.format if request.format in SEED_FORMATS else None
    with FileSource(path, arriving=request.arriving).opened() as file:
        head = file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    return next((name for name, begins in _BEGINS.items() if begins.match(head)), None)


def store_seed(
    database: Database, path: Path, request: ImportRequest, *, name: str
) -> "SeedLoading":
    """
    Store a file of the seed's, or only try to.

    :raises BrokenFileError: if it is broken.
    :raises ImportRefusedError: if the caller may not import it.
    """
    if request.meters:
        raise ImportRefusedError("calls its meters by our numbers: they cannot be others")
    if request.own_meters is not None and name == MASTERDB:
        raise ImportRefusedError("is a master database, which only operators may import")

    def work(connection: sa.Connection) -> SeedLoading:
        loading: SeedLoading = _LOADINGS[name](connection, path, request)
        for portion in in_portions(read_by_meter(path), METERS_AT_ONCE):
            loading.take(portion)
        loading.finish()
        if request.dry_run:
            raise _TriedError(loading)
        return loading

    try:
        return in_one_transaction(database, work)
    except _TriedError as tried:
        return tried.loading


class SeedLoading(ABC):
    """One file on its way into the book, and what became of it."""

    def __init__(self, connection: sa.Connection, path: Path, request: ImportRequest) -> None:
        self._connection, self._request = connection, request
        self._file = Path(request.file_name or path)
        self._limits = StampLimits(request.parse.now, request.parse.reading_kwh_max)
        self._rejected: list[LineNote] = []
        self.summary = FileSummary()
        self.load = LoadReport()
        self.found = FoundMeters()

    @abstractmethod
    def take(self, portion: Sequence[MeterObject]) -> None:
        """Load some meters."""

    def finish(self) -> None:  # noqa: B027 most have nothing to say
        """Note what a person should know in the end."""

    def _zones(self, portion: Sequence[MeterObject]) -> dict[int, ZoneInfo]:
        numbers = {meter.meter_id for meter in portion}
        own = self._request.own_meters
        if own is not None and (foreign := sorted(numbers - own)):
            raise ImportRefusedError(f"is about meters that are not yours ({foreign[0]}, ...)")
        known = zones_of(self._connection, numbers)
        self.found.new |= numbers - known.keys()
        return {number: time_zone(known.get(number, self._request.zone)) for number in numbers}

    def _each(
        self, portion: Sequence[MeterObject], read: Callable[[MeterObject], Item]
    ) -> Iterator[Item]:
        for meter in portion:
            try:
                yield read(meter)
            except BrokenFileError as error:
                if not self._request.partial:
                    raise
                self._rejected.append(LineNote(error.line, error.reason, error.column))

    def _count(self, readings: ReadingColumns, *, interval_s: int) -> None:
        numbers = distinct(readings.source)
        series = [Series(OWN, str(number), interval_s=interval_s) for number in numbers.tolist()]
        self.found.meter_of |= dict(zip(series, numbers.tolist(), strict=True))
        own = msgspec.structs.replace(readings, source=np.searchsorted(numbers, readings.source))
        self.summary.add(FilePart(series, own, self._rejected, len(self._rejected), {}, []))
        self._rejected = []


class _TriedError(Exception):
    """Takes the transaction of a dry run back."""

    def __init__(self, loading: SeedLoading) -> None:
        super().__init__()
        self.loading = loading


class _Recovery(SeedLoading):
    """Readings of one day; the book's stand."""

    def take(self, portion: Sequence[MeterObject]) -> None:
        day = self._request.day or recovery_day(self._file)
        zones = self._zones(portion)
        rows = [
            (number, starts_at, amount)
            for number, stamped in self._each(portion, partial(self._stamped, day, zones))
            for starts_at, amount in stamped
        ]
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        readings = reading_columns(table[:, 0], table[:, 1], table[:, 2])
        self._count(readings, interval_s=HALF_HOUR_S)
        loaded = load_by_meter(
            self._connection, readings, default_zone=self._request.zone,
            now=self._request.parse.now, book_stands=True,
        )  # fmt: skip
        self.load = self.load.plus(loaded)

    def _stamped(
        self, day: date, zones: Mapping[int, ZoneInfo], meter: MeterObject
    ) -> tuple[int, list[tuple[int, int]]]:
        number = meter.meter_id
        return number, stamped_energy(
            meter, meter.fields, day=day, zone=zones[number], limits=self._limits
        )


class _Master(SeedLoading):
    """Totals of days, half-hours of the newest, names and FINs; the book's stand."""

    def __init__(self, connection: sa.Connection, path: Path, request: ImportRequest) -> None:
        super().__init__(connection, path, request)
        self._counted = dict.fromkeys(_COUNTED, 0)

    def take(self, portion: Sequence[MeterObject]) -> None:
        zones = self._zones(portion)
        meters = list(
            self._each(
                portion, lambda m: master_meter(m, zone=zones[m.meter_id], limits=self._limits)
            )
        )
        rows = [
            (meter.meter_id, midnight(day, zones[meter.meter_id]), total)
            for meter in meters
            for day, total in meter.totals.items()
        ]
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        self._count(reading_columns(table[:, 0], table[:, 1], table[:, 2]), interval_s=DAY_S)
        totals = [_totals(meter, zones[meter.meter_id]) for meter in meters]
        loaded = load_totals_by_meter(
            self._connection, totals, default_zone=self._request.zone, now=self._request.parse.now
        )
        self.load = self.load.plus(loaded)
        self._counted["uneven"] += sum(bool(total.superseded) for total in totals)
        self._set_customers(meters)

    def finish(self) -> None:
        for name, words in _COUNTED.items():
            if self._counted[name]:
                self.summary.notes[f"{self._counted[name]} {words}"] = None

    def _set_customers(self, meters: Sequence[MasterMeter]) -> None:
        named = {m.meter_id: m for m in meters if m.name is not None or m.fin is not None}
        if not named or self._request.personal is None:
            return
        zone, now = self._request.zone, self._request.parse.now
        personal = self._request.personal()
        numbers = np.array(sorted(named), dtype=np.int64)
        known = known_or_new(self._connection, numbers, default_zone=zone, now=now)
        for number, meter in named.items():
            self._counted["doubtful"] += not meter.fin_fits
            point_id = known[number][-1].meter_point_id
            there = customer_of(self._connection, personal, meter_point_id=point_id)
            if there == (None, None):
                set_customer(
                    self._connection, personal, meter_point_id=point_id,
                    name=meter.name, fin=meter.fin, now=now,
                )  # fmt: skip
            else:
                self._counted["kept"] += there != (meter.name, meter.fin)


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


_LOADINGS: dict[str, type[SeedLoading]] = {RECOVERY: _Recovery, MASTERDB: _Master}
