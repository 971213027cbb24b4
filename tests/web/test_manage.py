"""The admin pages: the API's operations behind forms, with what is wrong beside the field."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from callers import PASSWORD, client_of, signed_in
from meterbook.registry.accounts import Role
from meterbook.registry.hosts import add_host
from meterbook.registry.locations import add_location
from meterbook.registry.meter_models import add_meter_model
from meterbook.storage.database import Database
from meterbook.web.manage.sites import CHOICES_MAX
from servers import Server, running_server

HTML = {"Accept": "text/html"}
_TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Server]:
    """Give a server with an admin and a household."""
    database = Database(module_database_url)
    signed_in(database, "root", role=Role.ADMIN)
    signed_in(database, "anna")
    signed_in(database, "ben")
    signed_in(database, "gone")
    database.close()
    folder = tmp_path_factory.mktemp("manage")
    with running_server(folder, database_url=module_database_url) as started:
        yield started


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    """Give a browser's session of the admin."""
    with in_session(server, "root") as client:
        yield client


@contextmanager
def in_session(server: Server, username: str) -> Iterator[httpx.Client]:
    with client_of(server.url) as client:
        client.headers.update(HTML)
        page = client.get("/sign-in")
        entered = {"username": username, "password": PASSWORD, "_csrf_token": token_of(page)}
        assert client.post("/sign-in", data=entered).status_code == 303
        yield client


def token_of(page: httpx.Response) -> str:
    found = _TOKEN.search(page.text)
    assert found, page.text
    return found[1]


def send(client: httpx.Client, path: str, fields: dict[str, str]) -> httpx.Response:
    """Fill in the form of a page and send it."""
    return client.post(path, data=fields | {"_csrf_token": token_of(client.get(path))})


def wrong(page: httpx.Response) -> dict[str, str]:
    """Return what the page says beside its fields."""
    return dict(re.findall(r'<p class="wrong" id="(\w+)-wrong">([^<]+)</p>', page.text))


PLACE = {"street": "Mill Lane", "number": "4", "zip_code": "1", "city": "York", "user": "anna"}
HOST = {"ip": "10.0.0.7", "port": "502", "slave_address": "3", "description": "roof"}


def made(admin: httpx.Client, kind: str, fields: dict[str, str]) -> str:
    """Add a thing by its form and return its id, or the one that is there already."""
    answer = send(admin, f"/manage/{kind}/new", fields)
    assert answer.status_code in {303, 400}, answer.text
    search = next(iter(fields.values()))
    listed = admin.get(f"/manage/{kind}", params={"search": search}).text
    found = re.search(rf'href="/manage/{kind}/([^"/]+)">{re.escape(search)}', listed)
    assert found, listed
    return found[1]


def test_a_host_is_added_changed_and_removed_and_the_audit_log_says_so(
    admin: httpx.Client,
) -> None:
    place = made(admin, "locations", PLACE)
    model = made(admin, "meter-models", {"name": "sdm", "type": "2"})
    fields = HOST | {"location": place, "meter": model}
    there = send(admin, "/manage/hosts/new", fields).headers["location"]
    assert there.startswith("/manage/hosts/")
    assert "Added." in admin.get(there).text
    found = re.search(
        r'href="/manage/hosts/(\d+)">10\.0\.0\.7:502<', admin.get("/manage/hosts").text
    )
    assert found
    page = f"/manage/hosts/{found[1]}"
    assert 'value="roof"' in admin.get(page).text
    assert send(admin, page, fields | {"port": "1502"}).status_code == 303
    assert "10.0.0.7:1502" in admin.get("/manage/hosts?search=ROOF").text
    assert "10.0.0.7:1502" in admin.get("/manage/hosts?search=anna").text
    assert "10.0.0.7:1502" not in admin.get("/manage/hosts?search=%25").text

    question = admin.get(f"{page}/remove")
    assert "Remove this host?" in question.text
    assert send(admin, f"{page}/remove", {}).status_code == 303
    assert admin.get(page).status_code == 404
    log = admin.get(f"/manage/audit?subject=hosts/{found[1]}").text
    assert [word for word in ("remove", "change", "add") if f">{word}</td>" in log] == [
        "remove", "change", "add",
    ]  # fmt: skip
    assert "1502" in log


def test_what_is_wrong_stands_beside_its_field_and_what_was_entered_stays(
    admin: httpx.Client,
) -> None:
    place = made(admin, "locations", PLACE)
    model = made(admin, "meter-models", {"name": "sdm", "type": "2"})
    fields = {"ip": "not an address", "port": "70000", "slave_address": "", "meter": model}
    page = send(admin, "/manage/hosts/new", fields | {"location": place})
    assert page.status_code == 400
    assert wrong(page) == {
        "port": "Enter a whole number from 1 to 65535.",
        "slave_address": "Fill this in.",
    }
    assert 'value="not an address"' in page.text
    page = send(admin, "/manage/hosts/new", fields | HOST | {"ip": "no address", "location": place})
    assert list(wrong(page)) == ["ip"]
    page = send(
        admin,
        "/manage/locations/new",
        PLACE | {"user": "nobody", "coord_x": "east", "coord_y": "54"},
    )
    assert wrong(page) == {
        "user": "There is no account of that name.",
        "coord_x": "Enter a number.",
    }
    page = send(admin, "/manage/locations/new", PLACE | {"number": "5", "coord_x": "-1.08"})
    assert list(wrong(page)) == ["coord_y"]
    again = send(admin, "/manage/locations/new", PLACE)
    assert (again.status_code, wrong(again)) == (400, {})
    assert again.text.count("There is one like this already.") == 1
    page = send(admin, "/manage/meter-models/new", {"name": "sdm", "type": "9"})
    assert wrong(page) == {"type": "Choose one of the list."}


def test_what_is_taken_or_in_use_is_said(admin: httpx.Client) -> None:
    place = made(admin, "locations", PLACE)
    model = made(admin, "meter-models", {"name": "sdm", "type": "2"})
    again = send(admin, "/manage/meter-models/new", {"name": "sdm", "type": "1"})
    assert (again.status_code, list(wrong(again))) == (400, ["name"])
    host = HOST | {"ip": "10.0.0.9", "location": place, "meter": model}
    assert send(admin, "/manage/hosts/new", host).status_code == 303
    refused = send(admin, f"/manage/locations/{place}/remove", {})
    assert refused.status_code == 400
    assert "it has or had" in refused.text
    assert send(admin, f"/manage/meter-models/{model}/remove", {}).status_code == 400


def test_a_register_keeps_what_its_form_shows(admin: httpx.Client) -> None:
    model = made(admin, "meter-models", {"name": "with registers", "type": "1"})
    made(admin, "measurements", {"measurement": "voltage_test", "type": "1"})
    fields = {
        "measurement": "voltage_test", "meter": model, "address": "12", "function_code": "4",
        "type": "3", "unit": "V", "scale": "0.1", "word_order": "low_first", "missing": "65535, -1",
    }  # fmt: skip
    assert send(admin, "/manage/registers/new", fields | {"missing": "x"}).status_code == 400
    register = made(admin, "registers", fields)
    shown = admin.get(f"/manage/registers/{register}").text
    for name in ("address", "unit", "scale", "missing"):
        assert f'name="{name}" type="text" value="{fields[name]}"' in shown
    assert '<option value="low_first" selected>' in shown
    assert (
        send(admin, f"/manage/registers/{register}", fields | {"address": "13"}).status_code == 303
    )
    assert send(admin, "/manage/measurements/voltage_test/remove", {}).status_code == 400
    assert send(admin, f"/manage/registers/{register}/remove", {}).status_code == 303


def test_a_meter_is_claimed_moved_to_a_region_and_given_a_key_shown_once(
    admin: httpx.Client,
) -> None:
    wrong_id = {"meter_id": "1-", "user": "", "name": "", "region": "", "zone": ""}
    assert list(wrong(send(admin, "/manage/meters/new", wrong_id))) == ["meter_id"]
    fields = {"meter_id": "777-000-111", "user": "anna", "name": "", "region": "north", "zone": ""}
    meter = made(admin, "meters", fields)
    page = f"/manage/meters/{meter}"
    assert 'value="anna"' in admin.get(page).text
    assert 'name="meter_id"' not in admin.get(page).text
    moved = {"user": "", "name": "attic", "region": "south", "zone": "Mars/Olympus"}
    assert list(wrong(send(admin, page, moved))) == ["zone"]
    assert send(admin, page, moved | {"zone": "Europe/Warsaw"}).status_code == 303
    assert "south" in admin.get("/manage/meters?search=777-000-111").text
    key = send(admin, f"{page}/give-key", {})
    assert key.status_code == 200
    secret = re.search(r'value="([0-9a-f]{64})"', key.text)
    assert secret
    assert secret[1] not in admin.get(page).text
    assert send(admin, f"{page}/take-key", {}).status_code == 303


def test_an_account_gets_another_role_but_the_last_admin_stays(admin: httpx.Client) -> None:
    listed = admin.get("/manage/accounts?search=ben").text
    found = re.search(r'href="/manage/accounts/(\d+)">ben<', listed)
    assert found
    page = f"/manage/accounts/{found[1]}"
    changed = {"email": "ben@example.com", "role": "operator", "state": "active"}
    assert send(admin, page, changed).status_code == 303
    assert "operator" in admin.get("/manage/accounts?search=ben").text
    assert list(wrong(send(admin, page, changed | {"email": "anna@example.com"}))) == ["email"]
    root = re.search(r'accounts/(\d+)">root<', admin.get("/manage/accounts?search=root").text)
    assert root
    last = {"email": "root@example.com", "role": "household", "state": "active"}
    refused = send(admin, f"/manage/accounts/{root[1]}", last)
    assert refused.status_code == 400
    assert "last admin" in refused.text


@pytest.mark.parametrize(
    "path",
    [
        "/manage/nothing", "/manage/hosts/999999", "/manage/hosts/x", "/manage/hosts/1/explode",
        "/manage/accounts/new", "/manage/measurements/no-such", "/manage/hosts/9999999999999999999",
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_404_in_words(admin: httpx.Client, path: str) -> None:
    page = admin.get(path)
    assert page.status_code == 404
    assert "Not found" in page.text


def test_a_newcomer_is_told_where_the_known_models_come_from(admin: httpx.Client) -> None:
    page = admin.get("/manage/registers")
    assert "There is none yet." in page.text
    assert "meterbook catalogue load" in page.text
    assert "meterbook catalogue load" not in admin.get("/manage/hosts").text


def test_a_form_without_the_pages_own_token_changes_nothing(admin: httpx.Client) -> None:
    answer = admin.post("/manage/meter-models/new", data={"name": "forged", "type": "1"})
    assert answer.status_code == 403
    assert "Nothing found" in admin.get("/manage/meter-models?search=forged").text


def test_who_is_no_admin_sees_nothing_of_it(server: Server) -> None:
    with in_session(server, "anna") as household:
        assert household.get("/manage").status_code == 403
        assert household.get("/manage/accounts").status_code == 403
        assert "root" not in household.get("/manage/accounts").text
        assert "/manage" not in household.get("/profile").text
    with client_of(server.url) as nobody:
        assert nobody.get("/manage/hosts", headers=HTML).headers["location"] == (
            "/sign-in?next=/manage/hosts"
        )


def test_a_host_stays_at_its_location_though_more_are_there_than_a_form_offers(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    signed_in(sqlite_database, "root", role=Role.ADMIN)
    with sqlite_database.writing() as connection:
        for number in range(CHOICES_MAX + 1):
            place = PLACE | {"number": str(number), "user": 1}
            there = add_location(connection, fields=place, by=None, now=0).id
        model = add_meter_model(connection, fields={"name": "sdm", "type": 1}, by=None, now=0).id
        host = HOST | {"port": 502, "slave_address": 3, "user": 1, "meter": model}
        add_host(connection, fields=host | {"location": there}, by=None, now=0)
    with (
        running_server(tmp_path / "data", database_url=sqlite_url) as server,
        in_session(server, "root") as admin,
    ):
        page = admin.get("/manage/hosts/1").text
    assert re.findall(r'<option value="(\d+)" selected>', page) == [str(model), str(there)]


def test_what_belongs_to_a_deactivated_account_can_be_changed(admin: httpx.Client) -> None:
    place = PLACE | {"street": "Gone Lane", "user": "gone"}
    page = f"/manage/locations/{made(admin, 'locations', place)}"
    found = re.search(
        r'href="/manage/accounts/(\d+)">gone<', admin.get("/manage/accounts?search=gone").text
    )
    assert found
    left = {"email": "gone@example.com", "role": "household", "state": "deactivated"}
    assert send(admin, f"/manage/accounts/{found[1]}", left).status_code == 303
    assert send(admin, page, place | {"number": "9"}).status_code == 303
    assert 'value="gone"' in admin.get(page).text
