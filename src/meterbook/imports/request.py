"""What a person asks of an import, and why one is refused."""

from collections.abc import Mapping

import msgspec

from meterbook.intake.files.parsed import ParseOptions

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


class ImportRefusedError(ValueError):
    """A file that is right in itself and still cannot be taken."""
