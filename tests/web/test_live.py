"""Live streams: a reading reaches every open page, whichever of two workers stored it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from books import record_packets
from callers import client_of, signed_in
from meterbook.intake.packet_fields import Packet
from meterbook.registry.accounts import Role
from meterbook.registry.meters import claim_meters
from meterbook.registry.tokens import end_token, issue_token
from meterbook.storage.database import Database
from meterbook.storage.tables import accounts, meter_points
from servers import Server, running_server

METER = 424_242
TWO_WORKERS = ("-m", "meterbook", "serve", "--workers", "2")
PATH = f"/profile/{METER}/live"
WAIT_S = 20


@pytest.fixture
def book(database: Database) -> Database:
    """Give a book in which anna owns a meter that has spoken."""
    record_packets(database, [Packet(METER, int(time.time()) - 7_200, 100)])
    account, _ = signed_in(database, "anna")
    with database.writing() as connection:
        claim_meters(connection, [METER], account_id=account.id, now=0)
    signed_in(database, "operator", role=Role.OPERATOR)
    signed_in(database, "admin", role=Role.ADMIN)
    return database


@pytest.fixture
def server(book: Database, database_url: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server of two workers."""
    assert book.url.drivername
    settings = {"live_streams_per_account": "3"}
    with running_server(
        tmp_path / "data", database_url=database_url, settings=settings, command=TWO_WORKERS
    ) as started:
        yield started


class Listening(threading.Thread):
    """One open page: gathers what the stream says."""

    def __init__(self, url: str, token: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.headers = url, token, headers or {}
        self.events: list[tuple[str, Any, str]] = []
        self.status = 0
        self.has_ended = threading.Event()
        self.is_open = threading.Event()

    def run(self) -> None:
        """Listen until the stream ends."""
        event: dict[str, str] = {}
        try:
            with (
                client_of(self.url, self.token) as client,
                client.stream("GET", PATH, headers=self.headers) as answer,
            ):
                self.status = answer.status_code
                for line in answer.iter_lines():
                    self.is_open.set()
                    name, _, said = line.partition(": ")
                    event[name] = said
                    if not line and "data" in event:
                        news = json.loads(event["data"])
                        self.events.append((event.get("event", ""), news, event.get("id", "")))
                        event = {}
        except httpx.HTTPError:
            pass
        finally:
            self.is_open.set()
            self.has_ended.set()

    def waits_for(self, name: str, **said: object) -> tuple[str, Any, str]:
        """Return the first event of that name that says so."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for event in self.events:
                if event[0] == name and event[1].items() >= said.items():
                    return event
            time.sleep(0.05)
        raise AssertionError(self.events)


@contextmanager
def listening(
    server: Server, *tokens: str, headers: dict[str, str] | None = None
) -> Iterator[list[Listening]]:
    pages = [Listening(server.url, token, headers) for token in tokens]
    for page in pages:
        page.start()
    for page in pages:
        assert page.is_open.wait(WAIT_S)
    yield pages


def token_for(book: Database, username: str) -> str:
    with book.writing() as connection:
        account_id = connection.exec_driver_sql(
            f"SELECT id FROM accounts WHERE username = '{username}'"  # noqa: S608 our own names
        ).scalar_one()
        return issue_token(connection, account_id=account_id, purpose="api", now=int(time.time()))


def post(server: Server, energy_kwh: float) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))
    packet = {"id": METER, "timestamp": stamp, "reading_kWh": energy_kwh}
    with client_of(server.url) as client:
        assert client.post("/meter", json=packet).status_code == 201


def test_a_reading_reaches_every_page_of_both_workers_and_of_everybody_who_may_see_it(
    server: Server, book: Database
) -> None:
    anna, operator = token_for(book, "anna"), token_for(book, "operator")
    with listening(server, anna, anna, anna, operator, operator) as pages:
        post(server, 1.25)
        for page in pages:
            assert page.waits_for("reading", kWh=1.25)[2].isdigit()
        post(server, 2.5)
        for page in pages:
            assert page.waits_for("reading", kWh=2.5)


def test_a_page_that_was_away_is_told_to_look_at_everything(server: Server, book: Database) -> None:
    token = token_for(book, "anna")
    with listening(server, token, headers={"Last-Event-ID": "1738972800000"}) as (page,):
        assert page.waits_for("refresh")[1] == {}


def test_the_stream_ends_with_the_session(server: Server, book: Database) -> None:
    token = token_for(book, "anna")
    with listening(server, token) as (page,):
        with book.writing() as connection:
            end_token(connection, secret=token)
        assert page.waits_for("end")
        assert page.has_ended.wait(WAIT_S)


def test_the_stream_ends_for_who_may_not_see_the_meter_any_more(
    server: Server, book: Database
) -> None:
    tokens = [token_for(book, username) for username in ("anna", "operator", "admin")]
    with listening(server, *tokens) as (anna, operator, admin):
        with book.writing() as connection:
            connection.execute(sa.update(meter_points).values(account_id=None))
            demoted = accounts.c.username == "operator"
            connection.execute(sa.update(accounts).where(demoted).values(role="household"))
        for page in (anna, operator):
            assert page.waits_for("end")
            assert page.has_ended.wait(WAIT_S)
        post(server, 1.25)
        assert admin.waits_for("reading", kWh=1.25)


def test_no_open_page_keeps_the_server_from_stopping(server: Server, book: Database) -> None:
    token = token_for(book, "anna")
    with listening(server, token) as (page,):
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8
        assert page.has_ended.wait(WAIT_S)
    # Told that it ended, the page would not come back to the next server.
    assert [event for event in page.events if event[0] == "end"] == []


def test_an_account_watches_so_many_pages_and_no_more(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    record_packets(database, [Packet(METER, int(time.time()) - 7_200, 100)])
    _, token = signed_in(database, "operator", role=Role.OPERATOR)
    database.close()
    settings = {"live_streams_per_account": "2"}
    with (
        running_server(tmp_path / "data", database_url=sqlite_url, settings=settings) as server,
        listening(server, token, token) as pages,
    ):
        with client_of(server.url, token) as client:
            refused = client.get(PATH)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "60"
        assert [page.status for page in pages] == [200, 200]
