"""The page of files: looked at first, then stored, without a line of JavaScript."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from callers import PASSWORD, signed_in
from meterbook.registry.meters import add_meters, claim_meters
from meterbook.storage.database import Database
from servers import Server, running_server

CSV = b"starts_at,kWh\n2024-06-01T00:00:00Z,1.5\n2024-06-01T00:30:00Z,2\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server where a household has meter 12."""
    folder: Path = tmp_path_factory.mktemp("server")
    with running_server(folder) as started:
        database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
        account, _ = signed_in(database, "anna")
        with database.writing() as connection:
            add_meters(connection, [12], zone="UTC", now=0)
            claim_meters(connection, [12], account_id=account.id, now=0)
        database.close()
        yield started


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """Give a browser where the household is signed in."""
    headers = {"Accept": "text/html"}
    with httpx.Client(base_url=server.url, headers=headers, follow_redirects=True) as client:
        form = {"_csrf_token": token_of(client, "/sign-in"), "username": "anna"}
        assert client.post("/sign-in", data=form | {"password": PASSWORD}).status_code == 200
        yield client


def token_of(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="_csrf_token" value="(\w+)"', client.get(path).text)
    assert found
    return found[1]


def sent(client: httpx.Client, **fields: str) -> httpx.Response:
    form = {"_csrf_token": token_of(client, "/files"), **fields}
    return client.post("/files", data=form, files={"file": ("june.csv", CSV)})


def test_only_who_is_signed_in_sends_a_form_larger_than_others(
    server: Server, browser: httpx.Client
) -> None:
    # More than a form's field may have: those are gathered in memory, before any route is asked.
    form = {"what": "look", "meter": "1" * 12_000_000}
    stranger = httpx.post(f"{server.url}/files", data=form, files={"file": ("june.csv", CSV)})
    assert stranger.status_code == 413
    other_page = browser.post("/sign-in", data=form, files={"file": ("june.csv", CSV)})
    assert other_page.status_code == 413
    assert sent(browser, **form).status_code == 400
    assert sent(browser, what="look", meter="12").status_code == 200
    ours = [f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar]
    headers = {"Cookie": "; ".join(['theirs={"of": "another program"}', *ours])}
    with httpx.Client(base_url=server.url, headers=headers) as beside:
        assert sent(beside, **form).status_code == 400


def test_a_file_is_looked_at_and_then_stored(browser: httpx.Client) -> None:
    looked = sent(browser, what="look", meter="12")
    assert looked.status_code == 200
    assert "nothing is stored yet" in looked.text
    assert "000-000-012" in looked.text
    assert "3.500" in looked.text
    assert "No file yet." in looked.text
    stored = sent(browser, what="store", meter="12")
    assert "Stored." in stored.text
    assert stored.text.count("june.csv") == 2
    archive = zipfile.ZipFile(io.BytesIO(browser.get("/files/all").content))
    assert archive.read("readings.csv").decode().splitlines()[1:] == [
        "12,import,2024-06-01T00:00:00Z,2024-06-01T00:30:00Z,1.500,raw,UTC",
        "12,import,2024-06-01T00:30:00Z,2024-06-01T01:00:00Z,2.000,raw,UTC",
    ]


def test_what_is_wrong_is_said_and_what_was_entered_kept(browser: httpx.Client) -> None:
    answer = sent(browser, what="store", meter="13")
    assert answer.status_code == 400
    assert "Nothing was stored." in answer.text
    assert "not yours" in answer.text
    assert 'value="13"' in answer.text


def test_the_page_is_for_who_is_signed_in(server: Server) -> None:
    for path in ("/files", "/files/all"):
        answer = httpx.get(server.url + path, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert "/sign-in" in answer.headers["location"]


def test_a_refusal_speaks_of_the_page_and_not_of_the_command_line(browser: httpx.Client) -> None:
    refused = sent(browser, what="look")
    assert refused.status_code == 400
    assert "names no meter" in refused.text
    assert not re.search(r"[ (]--[a-z]", refused.text)
    assert '<option value="nem12">' in refused.text


@pytest.mark.parametrize("field", ["unit", "dates", "stamp", "stamps_zone", "format"])
def test_a_choice_that_is_not_on_the_page_is_refused(browser: httpx.Client, field: str) -> None:
    answer = sent(browser, what="look", meter="12", **{field: "no such"})
    assert answer.status_code == 400
    assert "no such" in answer.text
