"""What a person asks of an import, and why one is refused."""

from collections.abc import Callable, Mapping
from datetime import date

import msgspec

from meterbook.domain.import_reports import Arrival
from meterbook.intake.files.parsed import ParseOptions, Series
from meterbook.registry.personal_data import PersonalData

AUTO = "auto"


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One file's import."""

    parse: ParseOptions
    zone: str
    """IANA zone of meters nobody registered."""
    format: str = AUTO
    meters: Mapping[str, int] = {}
    """Name in the file to our meter ID; an empty name: the one the file has."""
    own_meters: frozenset[int] | None = None
    """The only meters that may be written; None: any, and new ones are made."""
    partial: bool = False
    """Store the good lines of a file that has wrong ones."""
    dry_run: bool = False
    account_id: int | None = None
    """Who imports; None: the command line."""
    file_name: str | None = None
    """What the person calls the file, where it lies under another name."""
    arriving: Arrival | None = None
    """Where the file may still be on its way: it is read as it comes, and stored when whole."""
    day: date | None = None
    """Of a recovery file whose name does not say it."""
    personal: Callable[[], PersonalData] | None = None
    """Opens the key of names and FINs; only a master database needs it."""


class FoundMeters:
    """The meter of each series, and which of them are made by this import."""

    def __init__(self) -> None:
        self.meter_of: dict[Series, int] = {}
        self.new: set[int] = set()


class ImportRefusedError(ValueError):
    """A file that is right in itself and still cannot be taken."""
