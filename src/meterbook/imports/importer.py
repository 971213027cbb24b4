"""The importer of a running server: what a caller wishes becomes a request of this package."""

from decimal import Decimal

from meterbook.domain.import_reports import ImportReport, ImportWish
from meterbook.domain.local_days import UnknownZoneError, time_zone
from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.imports.request import AUTO, ImportRequest
from meterbook.imports.run import run_import
from meterbook.intake.files.csv_mapping import DATE_ORDERS, UNITS, CsvMapping
from meterbook.intake.files.formats import FORMATS, SEED_FORMATS
from meterbook.intake.files.parsed import ParseOptions
from meterbook.registry.personal_data import PersonalData
from meterbook.storage.database import Database

_IS_END = {"start": False, "end": True}


class Importer:
    """Imports the files of a server's callers."""

    def __init__(
        self,
        database: Database,
        *,
        default_zone: str,
        reading_kwh_max: Decimal,
        personal: PersonalData,
    ) -> None:
        self._database, self._personal = database, personal
        self._default_zone = default_zone
        self._reading_kwh_max = reading_kwh_max

    def __call__(self, wish: ImportWish) -> ImportReport:
        """Import a file, or only check it, and return what became of it."""
        try:
            request = self._request(wish)
        except (UnknownZoneError, MeterIdError, ValueError) as error:
            return ImportReport(
                file=wish.file_name, format=wish.format, status="refused", problem=str(error)
            )
        return run_import(self._database, wish.path, request)

    def _request(self, wish: ImportWish) -> ImportRequest:
        if wish.format not in {AUTO, *FORMATS, *SEED_FORMATS}:
            known = ", ".join([AUTO, *FORMATS, *SEED_FORMATS])
            raise ValueError(f"no format {wish.format!r}; there are {known}")
        for name, said, choices in (
            ("unit", wish.unit, UNITS),
            ("order of dates", wish.dates, DATE_ORDERS),
            ("end of an interval", wish.stamp, tuple(_IS_END)),
        ):
            if said is not None and said not in choices:
                raise ValueError(f"no {name} {said[:32]!r}; there are {', '.join(choices)}")
        zone = time_zone(wish.zone or self._default_zone)
        stamps_zone = time_zone(wish.stamps_zone) if wish.stamps_zone else None
        is_end = _IS_END.get(wish.stamp or "")
        return ImportRequest(
            parse=ParseOptions(
                now=wish.now,
                reading_kwh_max=self._reading_kwh_max,
                stamps_zone=stamps_zone,
                stamp_is_end=is_end,
                unit=wish.unit,
                mapping=CsvMapping(
                    zone=(stamps_zone or zone).key,
                    unit=wish.unit,
                    date_order=wish.dates,
                    stamp_is_end=is_end,
                    energy=list(wish.energy) or None,
                ),
            ),
            zone=zone.key,
            format=wish.format,
            meters=_meters(wish.meters),
            own_meters=wish.own_meters,
            partial=wish.partial,
            dry_run=wish.dry_run,
            account_id=wish.account_id,
            file_name=wish.file_name,
            day=wish.day,
            arriving=wish.arriving,
            personal=lambda: self._personal,
        )


def _meters(written: tuple[str, ...]) -> dict[str, int]:
    said: dict[str, int] = {}
    for text in written:
        name, _, number = text.rpartition("=")
        try:
            said[name] = meter_id(number)
        except MeterIdError as error:
            raise MeterIdError(f"meter {number[:32]!r} {error}") from None
    return said
