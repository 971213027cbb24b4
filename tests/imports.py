"""What tests of files share: importing as the command does, without the command line."""

from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.cli.import_any import FileOutcome, import_any
from meterbook.imports import ImportRequest
from meterbook.intake.files.parsed import ParseOptions
from meterbook.registry.personal_data import PersonalData
from meterbook.storage.database import Database
from meterbook.storage.tables import installations, ledger

NOW = 1_760_000_000
KEY = PersonalData("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
UTC = ZoneInfo("UTC")
REQUEST = ImportRequest(
    parse=ParseOptions(now=NOW, reading_kwh_max=Decimal(1000)), zone="UTC", personal=lambda: KEY
)


def _outcomes(
    format_name: str, database: Database, paths: tuple[Path, ...], changes: dict[str, object]
) -> list[FileOutcome]:
    request = msgspec.structs.replace(REQUEST, format=format_name, **changes)
    return list(import_any(database, paths, request))


def imported(format_name: str, database: Database, *paths: Path, **changes: object) -> list[str]:
    """Import the files and return their lines; none may be refused."""
    outcomes = _outcomes(format_name, database, paths, changes)
    assert not [outcome.line for outcome in outcomes if outcome.refused]
    return [outcome.line for outcome in outcomes]


def refused(format_name: str, database: Database, *paths: Path, **changes: object) -> list[str]:
    """Import the files and return the lines of those that are refused."""
    outcomes = _outcomes(format_name, database, paths, changes)
    return [outcome.line for outcome in outcomes if outcome.refused]


def totals(database: Database) -> dict[tuple[int, int], int]:
    """Return the energy of each closed day, by meter ID and day."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(installations.c.meter_id, ledger.c.day, ledger.c.energy).join(
                ledger, ledger.c.channel_id == installations.c.channel_id
            )
        )
        return {(row.meter_id, row.day): row.energy for row in rows}
