"""The pages of devices: keys shown once, inputs claimed by a form, the pool of what is nobody's."""

import html
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from callers import client_of, session_of, signed_in
from meterbook.access import SESSION_COOKIE
from meterbook.inputs import pool
from meterbook.inputs.deliveries import Announcement, Delivery
from meterbook.registry.accounts import Account, Role
from meterbook.storage.database import Database
from servers import Server, running_server

LAST = int(time.time()) // 1800 * 1800 - 3600
FIRST = LAST - 7200
METER = "000-271-828"
_TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@pytest.fixture(scope="module")
def book_url(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> str:
    """Give an empty database; what differs between engines is in `queries` and `inputs`."""
    file = tmp_path_factory.mktemp("devices") / "book.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{file}"


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, book_url: str
) -> Iterator[tuple[Server, dict[str, str]]]:
    """Give a server, and a session of a household, a stranger, an operator and an admin."""
    database = Database(book_url)
    roles = {"anna": Role.HOUSEHOLD, "ben": Role.HOUSEHOLD, "op": Role.OPERATOR, "root": Role.ADMIN}
    accounts: dict[str, Account] = {
        name: signed_in(database, name, role=role)[0] for name, role in roles.items()
    }
    sessions = {name: session_of(database, account) for name, account in accounts.items()}
    database.close()
    folder = tmp_path_factory.mktemp("devices")
    with running_server(folder, database_url=book_url) as server:
        yield server, sessions


@contextmanager
def browsing(opened: tuple[Server, dict[str, str]], name: str) -> Iterator[httpx.Client]:
    server, sessions = opened
    with client_of(server.url) as client:
        client.headers["Accept"] = "text/html"
        client.cookies.set(SESSION_COOKIE, sessions[name])
        yield client


def send(client: httpx.Client, page: str, path: str, fields: dict[str, str]) -> httpx.Response:
    """Fill in a form of the page and send it."""
    token = _TOKEN.search(client.get(page).text)
    assert token
    return client.post(path, data=fields | {"_csrf_token": token[1]})


def wrong(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<p class="wrong" id="(\w+)-wrong">([^<]+)</p>', page.text))


def new_key(client: httpx.Client, label: str, form: str) -> tuple[str, str]:
    """Make a key by the form and return it with the page that shows it."""
    page = send(client, "/devices", "/devices/keys", {"label": label, "form": form})
    assert page.status_code == 200, page.text
    found = re.search(r'id="secret" value="([^"]+)"', page.text)
    assert found
    return found[1], html.unescape(page.text)


def path_of(page: httpx.Response, words: str) -> str:
    found = re.search(rf'href="(/devices/[^"]+)">{re.escape(words)}<', page.text)
    assert found, page.text
    return found[1]


def let_the_roof_send(opened: tuple[Server, dict[str, str]], key: str) -> None:
    rows = [[FIRST + 300 * i, "roof", {"total": 5000 + 0.05 * i}] for i in range(25)]
    with client_of(opened[0].url) as device:
        form = {"apikey": key, "data": json.dumps(rows), "time": "0"}
        assert device.post("/input/bulk", data=form).text == "ok"


def test_a_key_is_shown_once_with_what_to_type_where_and_ends_when_revoked(
    opened: tuple[Server, dict[str, str]],
) -> None:
    with browsing(opened, "anna") as anna:
        assert "Nothing has sent yet" in anna.get("/devices").text
        assert list(wrong(send(anna, "/devices", "/devices/keys", {"form": "hex32"}))) == ["label"]
        empty = send(anna, "/devices", "/devices/keys", {"label": "x", "form": "morse"})
        assert (empty.status_code, list(wrong(empty))) == (400, ["form"])
        key, page = new_key(anna, "cellar", "hex32")
        assert len(key) == 32
        url = str(anna.base_url).rstrip("/")
        assert f"url = {url}\n        apikey = {key}\n" in page
        assert f'token = "{key}"' in page
        for form, where in (("token20", f"{url}/api/v1/"), ("uuid", f"{url}/middleware.php")):
            other, page = new_key(anna, form, form)
            assert where in page
            assert page.count(other) == 2
        listed = anna.get("/devices").text
        assert "cellar" in listed
        assert key not in listed
        with client_of(url) as device:
            assert device.post("/input/post", data={"apikey": key, "csv": "1"}).text == "ok"
            revoke = re.search(r'action="(/devices/keys/\d+/revoke)"', listed)
            assert revoke
            assert send(anna, "/devices", revoke[1], {}).status_code == 303
            refused = device.post("/input/post", data={"apikey": key, "csv": "1"})
            assert refused.status_code == 401
        with browsing(opened, "ben") as ben:
            assert send(ben, "/devices", revoke[1].replace("/1/", "/2/"), {}).status_code == 404
            assert "token20" not in ben.get("/devices").text.partition("<h2>Make a key")[0]


def test_an_input_is_claimed_by_the_form_and_shows_on_its_meters_page(
    opened: tuple[Server, dict[str, str]],
) -> None:
    with browsing(opened, "anna") as anna:
        key, _ = new_key(anna, "roof", "hex32")
        let_the_roof_send(opened, key)
        device = path_of(anna.get("/devices"), "roof")
        page = anna.get(device)
        assert "5,001.2" in page.text
        assert "ago" in page.text
        claim = path_of(page, "total")
        what = {"mapping": "counter", "unit": "V", "flow": "1"}
        refused = send(anna, claim, claim, what | {"meter_id": "x-"})
        assert (refused.status_code, list(wrong(refused))) == (400, ["meter_id"])
        refused = send(anna, claim, claim, what)
        assert list(wrong(refused)) == ["unit"]
        assert 'value="V"' in refused.text
        refused = send(anna, claim, claim, what | {"unit": "", "factor": "many"})
        assert list(wrong(refused)) == ["factor"]
        assert '<details class="behind" open>' in refused.text
        what |= {"unit": "kWh", "meter_id": METER}
        done = send(anna, claim, claim, what | {"resets_to_zero": "", "length_s": ""})
        assert (done.status_code, done.headers["location"]) == (303, f"{device}?said=claimed")
        assert f'href="/profile/{METER}"' in anna.get(device).text
        first, end = (time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (FIRST, LAST + 86_400))
        used = anna.get(
            f"/profile/{METER}/consumption?from={first}&to={end}",
            headers={"Accept": "application/json"},
        ).json()
        assert (used["total_kWh"], used["estimated_kWh"]) == (1.2, 0)
        zone = {"name": "the roof", "zone": "Europe/Warsaw"}
        assert "give them back first" in send(anna, device, device, zone).text
        ended = send(anna, claim, f"{claim}/end", {})
        assert ended.headers["location"] == f"{device}?said=ended"
        assert "unclaimed" in anna.get(device).text
        assert list(wrong(send(anna, device, device, zone | {"zone": "Mars"}))) == ["zone"]
        assert send(anna, device, device, zone).status_code == 303
        assert "<h1>the roof</h1>" in anna.get(device).text
    with browsing(opened, "ben") as ben:
        assert ben.get(device).status_code == 404
        assert send(ben, "/devices", claim, what).status_code == 404


def test_the_form_begins_with_what_the_device_announced(
    opened: tuple[Server, dict[str, str]], book_url: str
) -> None:
    said = Announcement(unit="Wh", suggested="counter")
    place = ("shellies/hall", "energy")
    database = Database(book_url)
    with database.writing() as connection:
        delivery = Delivery("mqtt", {place: {LAST * 1000: 5}}, announced={place: said})
        pool.store(connection, [delivery], devices_max=9, now=LAST)
    database.close()
    with browsing(opened, "root") as root:
        device = path_of(root.get("/devices/unclaimed"), "shellies/hall")
        assert send(root, device, f"{device}/owner", {"user": "anna"}).status_code == 303
    with browsing(opened, "anna") as anna:
        page = anna.get(device).text
        assert "seems to be a counter that only rises, Wh" in page
        claim = path_of(anna.get(device), "energy")
        form = anna.get(claim).text
        assert '<option value="counter" selected>' in form
        assert 'name="unit" type="text" value="Wh"' in form
        as_json = anna.get(claim, headers={"Accept": "application/json"}).json()
        assert (as_json["suggested"], as_json["mapping"]) == ("counter", None)


def test_an_admin_gives_what_is_nobodys_to_a_user(opened: tuple[Server, dict[str, str]]) -> None:
    with client_of(opened[0].url) as device:
        assert device.get("/input/post?node=stray&csv=42").text == "ok"
    with browsing(opened, "op") as op:
        pool = op.get("/devices/unclaimed")
        assert "42" in pool.text
        stray = path_of(pool, "stray")
        page = op.get(stray)
        assert "nobody&#39;s" in page.text or "nobody's" in page.text
        assert f'action="{stray}' not in page.text
        assert send(op, "/devices", f"{stray}/owner", {"user": "op"}).status_code == 403
        claim = path_of(page, "1")
        assert "nobody" in op.get(claim).text
    with browsing(opened, "root") as root:
        assert list(wrong(send(root, stray, f"{stray}/owner", {"user": "no one"}))) == ["user"]
        assert send(root, stray, f"{stray}/owner", {"user": "ben"}).status_code == 303
    with browsing(opened, "ben") as ben:
        assert "stray" in ben.get("/devices").text
        assert "<form" in ben.get(claim).text.partition("<main")[2].partition("</main>")[0]
        assert ben.get("/devices/unclaimed").status_code == 403
