"""Registering by the form: what is refused and how, what is stored and how."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from callers import PASSWORD, session_of, signed_in
from meterbook.access import SESSION_COOKIE
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters, claim_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import accounts, customers, locations, meter_points, meters
from servers import Server, running_server

FORM = {
    "username": "bert", "email": "bert@example.com", "password": PASSWORD, "fin": "s1234567d",
    "meter_id": "123-456-789", "street": "Orchard Road", "number": "7", "city": "Singapore",
    "zip_code": "238841", "region": "",
}  # fmt: skip
CARLA = {"username": "carla", "email": "carla@example.com", "meter_id": "000-000-004"}
CARLA = FORM | CARLA


@pytest.fixture(scope="module")
def book_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the URL of the book that the module's tests share."""
    file = tmp_path_factory.mktemp("registering") / "meterbook.sqlite"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="module")
def server(book_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server on which anna owns meter 1, which lies in the Central region."""
    database = Database(book_url)
    account, _ = signed_in(database, "anna")
    with database.writing() as connection:
        add_meters(connection, [1], zone="UTC", now=0, regions={1: "Central"})
        claim_meters(connection, [1], account_id=account.id, now=0)
    database.close()
    folder, often = tmp_path_factory.mktemp("data"), {"registrations_per_minute": "100"}
    with running_server(folder, database_url=book_url, settings=often) as started:
        yield started


def test_a_registration_is_stored_whole_with_the_fin_encrypted(
    server: Server, book_url: str
) -> None:
    with browser_of(server) as browser:
        answer = send(browser, CARLA | {"region": "Central"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/profile/000-000-004")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "000-000-004" in browser.get("/profile").text
        assert browser.get("/register").headers["location"] == "/profile"
    database = Database(book_url)
    with database.reading() as connection:
        point = connection.execute(
            sa.select(meter_points.c.region, customers.c.fin_encrypted, customers.c.name_encrypted)
            .join(customers, customers.c.id == meter_points.c.customer_id)
            .where(meter_points.c.region == "Central")
        ).one()  # fmt: skip
        assert point.region == "Central"
        assert b"1234567" not in point.fin_encrypted
        assert b"carla" not in point.name_encrypted
        assert set(connection.scalars(sa.select(locations.c.street))) == {"Orchard Road"}
    database.close()
    stored = Path(book_url.removeprefix("sqlite:///"))
    files = [stored, *stored.parent.glob("*wal"), server.log]
    assert not any(b"S1234567D" in file.read_bytes() for file in files if file.exists())


@pytest.mark.parametrize(
    ("field", "entered", "said"),
    [
        ("fin", "S1234567A", "not a FIN"),
        ("fin", "", "needed"),
        ("meter_id", "0", "up to nine digits"),
        ("meter_id", "1", "cannot be claimed"),
        ("email", "bert", "not an e-mail address"),
        ("email", "anna@example.com", "Another account has this e-mail"),
        ("username", "anna", "Another account has this name"),
        ("username", "b\x07", "too long"),
        ("password", "short", "eight characters"),
        ("password", "x" * 5_000, "at most 1,024"),
        ("password", "password1", "eight characters"),
        ("city", " ", "needed"),
        ("street", "x" * 201, "too long"),
        ("region", "Atlantis", "region of the list"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    server: Server, book_url: str, field: str, entered: str, said: str
) -> None:
    with browser_of(server) as browser:
        answer = send(browser, FORM | {field: entered})
    assert answer.status_code == 400
    found = re.search(rf'id="{field}-wrong">([^<]+)<', answer.text)
    assert found
    assert said in found[1]
    assert answer.text.count('class="wrong"') == 1
    assert "Orchard Road" in answer.text or field == "street"
    assert PASSWORD not in answer.text
    database = Database(book_url)
    with database.reading() as connection:
        names = set(connection.execute(sa.select(accounts.c.username)).scalars())
        assert names <= {"anna", "carla", "dora"}
        claimed = sa.select(meters.c.meter_id).where(meters.c.meter_id == 123_456_789)
        assert not connection.execute(claimed).first()
    database.close()


def test_registering_is_braked_as_on_the_api(sqlite_url: str, tmp_path: Path) -> None:
    few = {"registrations_per_minute": "2"}
    with (
        running_server(tmp_path, database_url=sqlite_url, settings=few) as server,
        browser_of(server) as browser,
    ):
        statuses = [
            send(browser, FORM | {"username": f"u{n}", "password": "short"}).status_code
            for n in range(4)
        ]
    assert 429 in statuses
    assert statuses.count(400) <= 3  # a minute may end in between


def test_another_meter_is_claimed_by_who_is_signed_in_only_once(server: Server) -> None:
    with browser_of(server) as browser:
        send(browser, FORM | {"username": "dora", "email": "d@example.com", "meter_id": "3"})
        claim = {"meter_id": "2", "name": "Garage"}
        assert send(browser, claim, to="/profile").headers["location"] == "/profile/000-000-002"
        again = send(browser, claim | {"name": "x"}, to="/profile")
        anybody = send(browser, {"meter_id": "1", "name": ""}, to="/profile")
        assert again.status_code == anybody.status_code == 400
        assert all("cannot be claimed" in answer.text for answer in (again, anybody))
        assert send(browser, {"meter_id": "x", "name": ""}, to="/profile").status_code == 400
        rename = send(browser, {"name": "  Carport\x07 "}, to="/profile/2/name")
        assert rename.status_code == 303
        assert "Carport" in browser.get("/profile").text
        assert send(browser, {"name": "mine now"}, to="/profile/1/name").status_code == 404
        while (answer := send(browser, claim, to="/profile")).status_code == 400:
            pass
        assert answer.status_code == 429


def test_a_meter_is_named_by_its_household_and_admins_not_by_who_only_reads_it(
    server: Server, book_url: str
) -> None:
    database = Database(book_url)
    outcomes = {}
    for role in (Role.OPERATOR, Role.ADMIN):
        account, _ = signed_in(database, f"the {role}", role=role)
        with browser_of(server) as browser:
            browser.cookies[SESSION_COOKIE] = session_of(database, account)
            named = send(browser, {"name": f"of the {role}"}, to="/profile/1/name")
            outcomes[role] = named.status_code, f"of the {role}" in browser.get("/profile/1").text
    database.close()
    assert outcomes == {Role.OPERATOR: (403, False), Role.ADMIN: (303, True)}


def browser_of(server: Server) -> httpx.Client:
    """Return a client that keeps cookies and asks for pages."""
    return httpx.Client(base_url=server.url, headers={"Accept": "text/html"}, timeout=30)


def send(browser: httpx.Client, form: dict[str, str], *, to: str = "/register") -> httpx.Response:
    """Send the form with the token of the page."""
    token = re.search(r'name="_csrf_token" value="(\w+)"', browser.get("/sign-in").text)
    assert token
    return browser.post(to, data=form | {"_csrf_token": token[1]})
