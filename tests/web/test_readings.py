"""The page on which an operator corrects a day's readings."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from books import record_packets
from callers import client_of, session_of, signed_in
from meterbook.intake.packet_fields import Packet
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import audit_entries
from servers import Server, running_server

METER = 717171
YESTERDAY = int(time.time()) // 86_400 * 86_400 - 86_400
DAY = time.strftime("%Y-%m-%d", time.gmtime(YESTERDAY))
PATH = f"/profile/{METER}/readings"
FIRST, SECOND = f"kwh-{YESTERDAY}", f"kwh-{YESTERDAY + 1800}"
_TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@pytest.fixture
def server(sqlite_database: Database, sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server whose meter sent one reading yesterday."""
    record_packets(sqlite_database, [Packet(METER, YESTERDAY + 1860, 999_000)])
    with running_server(tmp_path / "data", database_url=sqlite_url) as started:
        yield started


@pytest.fixture
def operator(server: Server, sqlite_database: Database) -> Iterator[httpx.Client]:
    """Give an operator's browser."""
    account, _ = signed_in(sqlite_database, "editor", role=Role.OPERATOR)
    with client_of(server.url) as client:
        client.headers["Accept"] = "text/html"
        client.cookies.set("meterbook_session", session_of(sqlite_database, account))
        yield client


def send(client: httpx.Client, **fields: str) -> httpx.Response:
    found = _TOKEN.search(client.get(f"{PATH}?day={DAY}").text)
    assert found
    return client.post(f"{PATH}?day={DAY}", data=fields | {"_csrf_token": found[1]})


def energies(client: httpx.Client) -> list[float | None]:
    json = client.get(f"{PATH}?day={DAY}", headers={"Accept": "application/json"}).json()
    return [row["kWh"] for row in json["readings"]]


@pytest.mark.parametrize("written", ["0.42", "0,42", " 00.4200 "])
def test_what_was_entered_counts_and_what_was_left_empty_stays(
    operator: httpx.Client, written: str
) -> None:
    assert energies(operator) == [999.0] + [None] * 47

    done = send(operator, reason="a wire was loose", **{FIRST: written, SECOND: ""})

    assert done.status_code == 303, done.text
    page = operator.get(done.headers["location"]).text
    assert "1 reading is changed." in page
    assert "999.000 (as received)" in page
    assert energies(operator) == [0.42] + [None] * 47


def test_a_ticked_edit_is_withdrawn(operator: httpx.Client) -> None:
    send(operator, reason="a guess", **{FIRST: "1", SECOND: "2"})
    assert energies(operator)[:2] == [1.0, 2.0]

    send(operator, reason="the first was right", **{f"withdraw-{YESTERDAY}": "yes"})

    assert energies(operator)[:2] == [999.0, 2.0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({FIRST: "1"}, "This is needed."),
        ({FIRST: "1", "reason": "x" * 201}, "This is too long."),
        ({"reason": "why not"}, "Enter a reading, or tick an edit"),
        ({FIRST: "much", "reason": "r"}, "Enter an energy in kWh"),
        ({FIRST: "-1", "reason": "r"}, "Enter an energy in kWh"),
        ({FIRST: "1.234.567", "reason": "r"}, "Enter an energy in kWh"),
        ({FIRST: "1000001", "reason": "r"}, "Enter an energy in kWh"),
        ({FIRST: "nan", "reason": "r"}, "Enter an energy in kWh"),
        ({f"withdraw-{YESTERDAY}": "yes", "reason": "r"}, "This cannot be changed"),
        ({"kwh-12345": "1", "reason": "r"}, "Enter a reading, or tick an edit"),
    ],
    ids=[
        "no reason", "a long reason", "nothing", "no number", "negative", "two points", "too much",
        "nan", "not edited", "another day's",
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_changed(
    operator: httpx.Client, sqlite_database: Database, fields: dict[str, str], said: str
) -> None:
    answer = send(operator, **(fields | ({SECOND: "5"} if FIRST in fields else {})))

    assert answer.status_code == 400
    assert said in answer.text
    if FIRST in fields:
        assert f'value="{fields[FIRST]}"' in answer.text
        assert 'value="5"' in answer.text
    assert energies(operator) == [999.0] + [None] * 47
    with sqlite_database.reading() as connection:
        assert connection.execute(audit_entries.select()).all() == []


def test_a_day_to_come_is_today_and_the_beginning_of_time_has_a_page(
    operator: httpx.Client,
) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert f'value="{today}"' in operator.get(f"{PATH}?day=9999-12-31").text
    assert operator.get(f"{PATH}?day=0001-01-01").status_code == 200


def test_the_two_runs_of_a_repeated_hour_are_told_apart(
    operator: httpx.Client, sqlite_database: Database
) -> None:
    with sqlite_database.writing() as connection:
        add_meters(connection, [717_172], zone="Europe/London", now=0)

    page = operator.get("/profile/717172/readings?day=2025-10-26").text

    said = re.findall(r'aria-label="([0-9:]+.[0-9:]+(?: \(\+00:00\))?): ', page)
    assert len(said) == 50
    assert len(set(said)) == 50, said
    assert said[2:6] == [
        "01:00\N{EN DASH}01:30",
        "01:30\N{EN DASH}01:00",
        "01:00\N{EN DASH}01:30 (+00:00)",
        "01:30\N{EN DASH}02:00 (+00:00)",
    ]


def test_households_do_not_find_it_and_operators_do(
    server: Server, operator: httpx.Client, sqlite_database: Database
) -> None:
    household, _ = signed_in(sqlite_database, "anna")
    with client_of(server.url) as client:
        client.headers["Accept"] = "text/html"
        assert client.get(PATH).headers["location"].startswith("/sign-in")
        client.cookies.set("meterbook_session", session_of(sqlite_database, household))
        assert client.get(PATH).status_code == 403
    assert f"/profile/{'000-717-171'}/readings" in operator.get(f"/profile/{METER}").text
