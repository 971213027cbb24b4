"""From the API to the book: a host is registered, polled by the server, changed, lost, found."""

import shutil
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from callers import client_of, signed_in
from meterbook.intake.modbus.sunspec import sunspec_models
from meterbook.registry.accounts import Role
from meterbook.registry.catalogue import load_catalogue
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.sunspec_device import VirtualSunSpecDevice
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, host_measurements
from servers import Server, running_server
from virtual_devices import MODELS, NOON_MS, DeviceThread, a_device, expected_amounts

PERIOD_S = 5


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server with two workers that polls every five seconds."""
    folder = tmp_path_factory.mktemp("polling")
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    command = ("-m", "meterbook", "serve", "--workers", "2")
    with running_server(
        folder, settings={"poll_seconds": str(PERIOD_S)}, command=command
    ) as started:
        yield started


@pytest.fixture(scope="module")
def book(server: Server) -> Iterator[Database]:
    """Give the server's book, with the catalogue in it."""
    database = Database(f"sqlite:///{server.log.parent / 'meterbook.sqlite'}")
    with database.writing() as connection:
        load_catalogue(connection, MODELS.values(), now=int(time.time()))
    yield database
    database.close()


@pytest.fixture(scope="module")
def admin(server: Server, book: Database) -> Iterator[httpx.Client]:
    """Give an admin's client; user 1 has location 1."""
    owner, token = signed_in(book, "admin", role=Role.ADMIN)
    with client_of(server.url, token) as client:
        address = {"street": "S", "number": "1", "city": "C", "zip_code": "Z"}
        made(client, "/admin/locations", {"user": owner.id, **address})
        yield client


def made(client: httpx.Client, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def add_host(client: httpx.Client, port: int, model: str, **more: object) -> int:
    meters = {meter["name"]: meter["id"] for meter in client.get("/admin/meters").json()}
    where = {"ip": "127.0.0.1", "port": port, "slave_address": 1, "user": 1, "location": 1}
    host = made(client, "/admin/hosts", where | {"meter": meters[model], **more})
    return int(host["id"])


def stored(book: Database, host_id: int) -> dict[str, int]:
    """Return the newest amount of each measurement of a host."""
    wanted = (
        sa.select(host_measurements.c.measurement, daybook.c.amount)
        .join(daybook, daybook.c.channel_id == host_measurements.c.channel_id)
        .where(host_measurements.c.host_id == host_id)
        .order_by(daybook.c.starts_at)
    )
    with book.reading() as connection:
        return {row.measurement: row.amount for row in connection.execute(wanted)}


def until(is_so: Callable[[], object], *, within_s: float = 60) -> None:
    ends_at = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends_at, "did not happen"
        time.sleep(0.05)


def test_a_registered_host_is_in_the_book_to_the_last_digit_and_changes_act(
    server: Server, book: Database, admin: httpx.Client, devices: DeviceThread
) -> None:
    device = a_device("em24")
    plugged = devices.plug_in(device)
    host_id = add_host(admin, plugged.port, "em24")
    expected = expected_amounts(MODELS["em24"], device.held(now_ms=NOON_MS))
    names = sorted(expected)
    made(admin, f"/user/hosts/{host_id}/measurements", {"measurements": names[:3]})
    until(lambda: len(stored(book, host_id)) == 3)
    made(admin, f"/user/hosts/{host_id}/measurements", {"measurements": names})
    until(lambda: len(stored(book, host_id)) == len(names))
    assert stored(book, host_id) == expected

    shown = made(admin, f"/admin/hosts/{host_id}/probe")
    held = device.held(now_ms=NOON_MS)
    assert {one["measurement"]: Decimal(one["number"]) for one in shown["registers"]} == held

    devices.pull_out(plugged)
    gone = made(admin, f"/admin/hosts/{host_id}/probe")
    assert {one["failure"] for one in gone["registers"]} == {"unreachable"}
    assert "broke" not in server.log.read_text()


def test_a_sunspec_host_is_discovered_and_polled(
    book: Database, admin: httpx.Client, devices: DeviceThread
) -> None:
    measured = Measured(SunnyHome(seed=5), now_ms=NOON_MS - 3_600_000, before_wh=7_000_000)
    facts = [sunspec_models()[number] for number in (1, 103, 120, 160)]
    device = VirtualSunSpecDevice(facts, measured)
    host_id = add_host(admin, devices.plug_in(device).port, "sunspec", poll_seconds=6)

    found = made(admin, f"/admin/hosts/{host_id}/discover")
    assert [model["id"] for model in found["models"]] == [1, 103, 120, 160]
    assert found["product"] == "Virtual Sun"
    offered = admin.get(f"/meters/{found['meter']}/measurements").json()
    assert [one["measurement"] for one in offered] == found["measurements"]
    assert made(admin, f"/admin/hosts/{host_id}/discover")["meter"] == found["meter"]

    wanted = ["active_power", "active_energy_produced", "power_dc_mppt2"]
    made(admin, f"/user/hosts/{host_id}/measurements", {"measurements": wanted})
    until(lambda: len(stored(book, host_id)) == len(wanted))
    held = device.held(now_ms=NOON_MS)
    assert stored(book, host_id) == {
        "active_power": held[103, "active_power"] * 1000,
        "active_energy_produced": held[103, "active_energy_produced"],
        "power_dc_mppt2": held[160, "power_dc_mppt2"] * 1000,
    }


def test_what_is_no_sunspec_device_is_told_so(admin: httpx.Client, devices: DeviceThread) -> None:
    plugged = devices.plug_in(a_device("sdm120"))
    host_id = add_host(admin, plugged.port, "sunspec")
    answer = admin.post(f"/admin/hosts/{host_id}/discover")
    assert answer.status_code == 409
    assert "no marker at 40000, 50000, 0" in answer.json()["detail"]


@pytest.mark.parametrize("wrong", [4, 3601, "60", 0])
def test_a_period_is_five_seconds_to_an_hour(admin: httpx.Client, wrong: object) -> None:
    body = {"ip": "h", "port": 1, "slave_address": 1, "user": 1, "location": 1, "meter": 1}
    answer = admin.post("/admin/hosts", json=body | {"poll_seconds": wrong})
    assert answer.status_code == 400
    assert "poll_seconds" in answer.json()["errors"]


def test_optional_fields_come_back_only_where_they_say_something(admin: httpx.Client) -> None:
    plain = {"ip": "plain", "port": 1, "slave_address": 1, "user": 1, "location": 1, "meter": 1}
    host = made(admin, "/admin/hosts", plain)
    assert "poll_seconds" not in host
    changed = admin.patch(f"/admin/hosts/{host['id']}", json={"poll_seconds": 30}).json()
    assert changed["poll_seconds"] == 30
    cleared = admin.patch(f"/admin/hosts/{host['id']}", json={"poll_seconds": None}).json()
    assert cleared == host

    meter = made(admin, "/admin/meters", {"name": "slow one", "type": 1, "timeout_ms": 5000})
    assert meter == {"id": meter["id"], "name": "slow one", "type": 1, "timeout_ms": 5000}
    register = {"address": 78, "measurement": "active_energy_consumed", "unit": "kWh"}
    register |= {"type": 5, "function_code": 3, "meter": meter["id"]}
    apart = made(admin, "/admin/registers", register | {"word_addresses": [80, 78], "scale": 0.1})
    assert apart["word_addresses"] == [80, 78]
    refused = admin.post("/admin/registers", json=register | {"word_addresses": [80]})
    assert "word_addresses" in refused.json()["errors"]
