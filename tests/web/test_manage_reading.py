"""What is read from a host is chosen, tried and discovered on its page under /manage."""

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from callers import PASSWORD, client_of, signed_in
from meterbook.intake.modbus.sunspec import sunspec_models
from meterbook.registry.accounts import Role
from meterbook.registry.catalogue import load_catalogue
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.sunspec_device import VirtualSunSpecDevice
from meterbook.storage.database import Database
from servers import running_server
from virtual_devices import MODELS, NOON_MS, DeviceThread, a_device

HTML = {"Accept": "text/html"}
PLACE = {"street": "Mill Lane", "number": "4", "zip_code": "1", "city": "York", "user": "root"}


@pytest.fixture(scope="module")
def admin(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Give a browser's session of an admin who has location 1; the catalogue is loaded."""
    folder = tmp_path_factory.mktemp("reading")
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    signed_in(database, "root", role=Role.ADMIN)
    with database.writing() as connection:
        load_catalogue(connection, MODELS.values(), now=int(time.time()))
    database.close()
    with running_server(folder) as server, client_of(server.url) as client:
        client.headers.update(HTML)
        entered = {"username": "root", "password": PASSWORD}
        assert send(client, "/sign-in", entered).status_code == 303
        assert send(client, "/manage/locations/new", PLACE).status_code == 303
        yield client


@pytest.fixture(scope="module")
def devices() -> Iterator[DeviceThread]:
    """Give virtual devices."""
    thread = DeviceThread()
    yield thread
    thread.stop()


def send(
    client: httpx.Client, path: str, fields: Mapping[str, str | list[str]], *, form: str = ""
) -> httpx.Response:
    """Fill in a form and send it; `form`: the page it stands on, if it is sent elsewhere."""
    found = re.search(r'name="_csrf_token" value="([^"]+)"', client.get(form or path).text)
    assert found
    return client.post(path, data={**fields, "_csrf_token": found[1]})


def add_host(admin: httpx.Client, port: int, model: str, *, poll_seconds: str = "") -> str:
    """Add a host by its form; return the path of its page."""
    choices = re.findall(r'value="(\d+)">([^<]+)</option>', admin.get("/manage/hosts/new").text)
    models = {words: number for number, words in choices}
    answer = send(
        admin,
        "/manage/hosts/new",
        {"ip": "127.0.0.1", "port": str(port), "slave_address": "1", "location": "1",
         "meter": models[model], "description": "meter", "poll_seconds": poll_seconds},
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


def ticked(page: str) -> list[str]:
    return re.findall(r'name="measurement" value="(\w+)" checked', page)


def test_measurements_are_ticked_and_the_page_says_when_none_is(
    admin: httpx.Client, devices: DeviceThread
) -> None:
    page = add_host(admin, devices.plug_in(a_device("em24")).port, "em24", poll_seconds="30")
    shown = admin.get(page).text
    assert "Nothing is read from this host yet: tick" in shown
    assert 'name="poll_seconds" type="text" value="30"' in shown
    offered = re.findall(r'name="measurement" value="(\w+)"', shown)
    for wanted in (offered[:2], offered[1:2], offered[:3], []):
        answer = send(admin, f"{page}/measurements", {"measurement": wanted}, form=page)
        assert answer.headers["location"] == f"{page}?said=assigned"
        shown = admin.get(page).text
        assert sorted(ticked(shown)) == sorted(wanted)
        assert ("Nothing is read from this host yet" in shown) == (not wanted)
    unknown = send(admin, f"{page}/measurements", {"measurement": "no_such"}, form=page)
    assert unknown.status_code == 400


def test_a_host_is_read_once_and_what_fails_is_said(
    admin: httpx.Client, devices: DeviceThread
) -> None:
    device = a_device("em24")
    plugged = devices.plug_in(device)
    page = add_host(admin, plugged.port, "em24")
    shown = send(admin, f"{page}/probe", {}, form=page).text
    held = device.held(now_ms=NOON_MS)
    for amount in filter(None, held.values()):
        assert re.search(rf">{amount.normalize():f}[ <]", shown), amount
    assert re.search(r">[0-9A-F]{4} [0-9A-F]{4}<", shown)
    devices.pull_out(plugged)
    assert "No connection" in send(admin, f"{page}/probe", {}, form=page).text
    assert send(admin, "/manage/locations/1/probe", {}, form=page).status_code == 404


def test_a_sunspec_host_is_discovered_and_what_is_none_is_told(
    admin: httpx.Client, devices: DeviceThread
) -> None:
    measured = Measured(SunnyHome(seed=5), now_ms=NOON_MS - 3_600_000, before_wh=7_000_000)
    device = VirtualSunSpecDevice([sunspec_models()[number] for number in (1, 103)], measured)
    page = add_host(admin, devices.plug_in(device).port, "sunspec")
    assert "discover what the device has" in admin.get(page).text
    answer = send(admin, f"{page}/discover", {}, form=page)
    assert answer.headers["location"] == f"{page}?said=discovered"
    assert 'value="active_power"' in admin.get(page).text

    other = add_host(admin, devices.plug_in(a_device("em24")).port, "sunspec")
    refused = send(admin, f"{other}/discover", {}, form=other)
    assert refused.status_code == 409
    assert "speaks no SunSpec" in refused.text
