"""Silent and slow clients, and bodies made to exhaust, neither stop packets nor stay."""

from pathlib import Path

from torture.bad_clients import crowds
from torture.load import Sender
from torture.new_books import Book

# More silent ones than most servers let in by themselves.
IDLE = 1_200
SLOW = 50


def test_packets_are_stored_beside_crowds_of_bad_clients_and_the_crowds_are_let_go(
    sqlite_url: str, tmp_path: Path
) -> None:
    book = Book(tmp_path, sqlite_url, Sender(seed=1))
    little = "torture.short_patience"
    for outcome in crowds(book, idle=IDLE, slow=SLOW, program=little):
        assert outcome.findings == [], outcome.what
