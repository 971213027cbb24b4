"""
kill -9 at random moments under load: what was acknowledged is there, once, with its value.

The control is a server that acknowledges before its commit: the same test must catch it. The
thousand kills are in `make torture`, by the same functions.
"""

from pathlib import Path

import pytest
from torture.kills import CONTROL_KILLS_MAX, EARLY, kill_parent, kills_at_points, random_kills
from torture.load import CONNECTIONS, Sender
from torture.new_books import Book
from torture.processes import kill, workers
from torture.promises import kept
from torture.warm_servers import warm_server

from meterbook.storage.database import Database

KILLS = 3


@pytest.fixture
def book(database_url: str, tmp_path: Path) -> Book:
    """Give an empty book that a server can be killed over."""
    return Book(tmp_path, database_url, Sender(seed=1))


def test_every_acknowledged_packet_survives_kill_9_exactly_once_with_its_value(book: Book) -> None:
    assert random_kills(book, cycles=KILLS, seed=20260101) == KILLS
    outcome = book.outcome("kill -9", cycles=KILLS)
    assert outcome.acknowledged > CONNECTIONS
    assert outcome.found == outcome.acknowledged
    assert outcome.findings == []


def test_a_server_that_dies_between_commit_and_answer_loses_nothing(book: Book) -> None:
    points = ["one by one, not committed", "one statement, committed"]
    assert kills_at_points(book, points=points, cycles=len(points), seed=3) == len(points)
    assert book.outcome("named points", cycles=len(points)).findings == []


def test_the_control_that_acknowledges_before_its_commit_is_caught(book: Book) -> None:
    random_kills(book, cycles=CONTROL_KILLS_MAX, seed=5, program=EARLY)
    assert book.outcome("control", cycles=1, is_control=True).is_right


def test_a_worker_whose_server_was_killed_ends_and_frees_the_port(
    sqlite_url: str, tmp_path: Path
) -> None:
    with warm_server(tmp_path, database_url=sqlite_url) as server:
        assert workers(server.process.pid)
        kill_parent(server)
        port = server.url.rpartition(":")[2]
        with warm_server(tmp_path, database_url=sqlite_url, port=int(port)):
            pass


def test_a_server_whose_worker_was_killed_starts_another(sqlite_url: str, tmp_path: Path) -> None:
    with warm_server(tmp_path, database_url=sqlite_url) as server:
        [worker] = workers(server.process.pid)
        kill(worker)
        server.wait_until_ready()
        assert workers(server.process.pid) != [worker]


def test_the_check_itself_finds_what_is_lost_doubled_or_made_up(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    sender = Sender(seed=1)
    sender.promises.acknowledged[1, 1_760_000_400] = 7
    [finding] = kept(database, sender.promises).findings
    assert "acknowledged, and not there" in finding
