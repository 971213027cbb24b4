"""What tests of files share: importing as the command does, without the command line."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.cli.file_outcomes import FileOutcome, ImportOptions
from meterbook.registry.personal_data import PersonalData
from meterbook.storage.database import Database
from meterbook.storage.tables import installations, ledger

NOW = 1_760_000_000
KEY = PersonalData("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
OPTIONS = ImportOptions(
    zone=ZoneInfo("UTC"), now=NOW, reading_kwh_max=Decimal(1000), personal=lambda: KEY
)
Import = Callable[[Database, list[Path], ImportOptions], Iterator[FileOutcome]]


def imported(work: Import, database: Database, *paths: Path, **changes: object) -> list[str]:
    """Import the files and return their lines; none may be refused."""
    outcomes = list(work(database, list(paths), msgspec.structs.replace(OPTIONS, **changes)))
    assert not [outcome.line for outcome in outcomes if outcome.refused]
    return [outcome.line for outcome in outcomes]


def refused(work: Import, database: Database, *paths: Path, **changes: object) -> list[str]:
    """Import the files and return the lines of those that are refused."""
    outcomes = work(database, list(paths), msgspec.structs.replace(OPTIONS, **changes))
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
