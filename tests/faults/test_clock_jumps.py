"""The clock of a server jumps by hours and days: nothing is lost, nothing is refused."""

from pathlib import Path

from torture.clock_jumps import jumps
from torture.load import Sender
from torture.new_books import Book


def test_a_clock_that_jumps_by_hours_loses_and_doubles_nothing(
    sqlite_url: str, tmp_path: Path
) -> None:
    outcome = jumps(Book(tmp_path, sqlite_url, Sender(seed=1)), cycles=2, seed=1)
    assert outcome.findings == []
    assert outcome.found == outcome.acknowledged
