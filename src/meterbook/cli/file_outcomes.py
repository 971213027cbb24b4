"""What an import is asked for, and what it says of each file."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from meterbook.bulk_load import LoadReport
from meterbook.cli.errors import one_line
from meterbook.domain.local_days import utc_text
from meterbook.registry.personal_data import PersonalData


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line and the settings say."""

    zone: ZoneInfo
    """Of meters nobody registered."""
    now: int
    reading_kwh_max: Decimal
    stamp_is_end: bool = False
    day: date | None = None
    dry_run: bool = False
    personal: Callable[[], PersonalData]
    """Opens the key of names and FINs; only a master database needs it."""


class FileOutcome(msgspec.Struct, frozen=True):
    """One file's line."""

    path: Path
    line: str
    refused: bool = False


def refusal(path: Path, error: Exception) -> FileOutcome:
    """Return the line of a file that is refused; it names the file."""
    text = one_line(error)
    named = text if str(path) in text else f"{path}: {text}"
    return FileOutcome(path, f"meterbook: {named}", refused=True)


def load_text(report: LoadReport) -> str:
    """Return what a load did, in words."""
    if report.first_starts_at is None or report.last_starts_at is None:
        return "no readings"
    words = [
        f"{report.readings - report.repeated - report.conflicts - report.off_grid} readings",
        f"{utc_text(report.first_starts_at)} to {utc_text(report.last_starts_at)}",
        f"{report.new_days} new days",
        f"{report.revised_days} revised days",
    ]
    counted = {
        "open readings": report.open_readings,
        "repeated": report.repeated,
        "in conflict": report.conflicts,
        "off the local grid": report.off_grid,
        "different from the book, which stands": report.differing,
    }
    return ", ".join(words + [f"{count} {name}" for name, count in counted.items() if count])
