"""
What an import says of a file: the same report on the command line, in the API and on the page.

A dry run brings it with everything a real one would, except that nothing is stored.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import msgspec

Status = Literal["checked", "stored", "refused"]


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """One flow of one meter in the file."""

    name: str
    """As the file calls the meter."""
    scheme: str
    meter_id: int | None = None
    """Ours; null where the file was refused before it was found."""
    is_new: bool = False
    """The meter is made by this import."""
    flow: Literal["import", "export"]
    interval_minutes: int
    """1440: the whole local day."""
    readings: int
    energy_kwh: float = msgspec.field(name="energy_kWh")
    starts_at: str
    ends_at: str
    gaps: int
    """Intervals between the first and the last that have no reading."""


class RejectedLine(msgspec.Struct, frozen=True):
    """A line that cannot be taken."""

    line: int
    column: int
    reason: str


class LeftOutKind(msgspec.Struct, frozen=True):
    """What the file holds and Meterbook does not keep."""

    what: str
    count: int
    first_line: int


class GuessReport(msgspec.Struct, frozen=True):
    """What was guessed of the file's shape."""

    field: str
    reading: str
    is_ambiguous: bool


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file, or would become of it."""

    file: str
    format: str
    status: Status
    problem: str | None = None
    """Why it was refused: file, line, column and reason in one line."""
    readings: int = 0
    repeated: int = 0
    """Twice in the file with the same value."""
    conflicts: int = 0
    """Twice in the file with different values: the last counts, the other is kept."""
    differing: int = 0
    """The book had another value: the file's counts from now on, the book's is kept; the other way
    round where the book stands, and where it was edited."""
    book_stands: bool = False
    """It is a copy of the book, made earlier: where the two differ, the book's value counts."""
    new_days: int = 0
    revised_days: int = 0
    open_readings: int = 0
    """Of days that are not over."""
    off_grid: int = 0
    """Not at the start of an interval of the meter's local day: left out."""
    unplaced: int = 0
    """Of a day that is not over, in intervals that do not add up to the meter's: left out."""
    series: list[SeriesReport] = []
    """The first thousand."""
    series_count: int = 0
    rejected: int = 0
    rejected_lines: list[RejectedLine] = []
    """The first hundred."""
    left_out: list[LeftOutKind] = []
    notes: list[str] = []
    guesses: list[GuessReport] = []


class Arrival(Protocol):
    """A file that may be read before it is whole."""

    def opened(self) -> AbstractContextManager[BinaryIO]:
        """Give its bytes; to read may wait for them."""

    def wait_until_whole(self) -> None:
        """Wait until nothing of it is missing; raise if that will never be."""


class ImportWish(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a caller of the server has sent, and what the caller says of it."""

    path: Path
    """Where the server keeps it meanwhile."""
    file_name: str
    now: int
    arriving: Arrival | None = None
    """Where it may still be on its way; None: it is there."""
    account_id: int
    own_meters: frozenset[int] | None
    """The only meters the caller may write; None: any."""
    format: str = "auto"
    meters: tuple[str, ...] = ()
    """`NUMBER` or `NAME=NUMBER`."""
    zone: str | None = None
    stamps_zone: str | None = None
    stamp: str | None = None
    """start or end."""
    unit: str | None = None
    dates: str | None = None
    energy: tuple[str, ...] = ()
    day: date | None = None
    """Of a recovery file whose name does not say it."""
    partial: bool = False
    dry_run: bool = False


Importing = Callable[[ImportWish], ImportReport]
"""Imports a file, or only checks it; refusals are in the report."""
