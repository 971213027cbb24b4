"""The rules of locations, hosts, models, registers and assignments; history is never lost."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from books import record_packets
from callers import client_of, signed_in
from meterbook.domain.readings import Counting, Flow
from meterbook.intake.packet_fields import Packet
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, host_measurements, hosts, meter_points
from servers import Server

ADDRESS = {"street": "S", "number": "1", "city": "C", "zip_code": "Z"}


@pytest.fixture(scope="module")
def admin(server: Server, book: Database) -> Iterator[httpx.Client]:
    """Give an admin's client; user 1 has location 1 and host 1 of meter 1, which has registers."""
    _, token = signed_in(book, "owner")
    _, token = signed_in(book, "root", role=Role.ADMIN)
    with client_of(server.url, token) as client:
        made(client, "locations", {"user": 1, **ADDRESS})
        made(client, "locations", {"user": 2, **ADDRESS})
        made(client, "meters", {"name": "sdm630", "type": 2})
        made(client, "meters", {"name": "bare", "type": 1})
        for name, kind, address, unit in (
            ("voltage_ac", 1, 0, "V"),
            ("active_energy_produced", 2, 74, "kWh"),
        ):
            made(client, "measurements", {"measurement": name, "type": kind})
            register = {"measurement": name, "address": address, "unit": unit, "meter": 1}
            made(client, "registers", register | {"type": 3, "function_code": 4})
        made(client, "hosts", HOST)
        yield client


HOST = {"ip": "10.0.0.1", "port": 502, "slave_address": 1, "user": 1, "location": 1, "meter": 1}
REGISTER = {"measurement": "voltage_ac", "address": 9, "unit": "V", "type": 3, "meter": 2}
REGISTER |= {"function_code": 3}


def made(client: httpx.Client, things: str, body: dict[str, Any]) -> Any:
    answer = client.post(f"/admin/{things}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("things", "body", "field"),
    [
        ("hosts", HOST | {"port": 0}, "port"),
        ("hosts", HOST | {"port": 65_536}, "port"),
        ("hosts", HOST | {"slave_address": 248}, "slave_address"),
        ("hosts", HOST | {"slave_address": -1}, "slave_address"),
        ("hosts", HOST | {"ip": "300.1.1.1"}, "ip"),
        ("hosts", HOST | {"ip": "not a name"}, "ip"),
        ("hosts", HOST | {"location": 2}, "location"),
        ("hosts", HOST | {"location": 99}, "location"),
        ("hosts", HOST | {"user": 99}, "user"),
        ("hosts", HOST | {"meter": 99}, "meter"),
        ("hosts", HOST, "port"),
        ("locations", {"user": 1, **ADDRESS}, "street"),
        ("locations", {"user": 99, **ADDRESS}, "user"),
        ("locations", {"user": 1, **ADDRESS, "city": "a\x00b"}, "city"),
        ("locations", {"user": 1, **ADDRESS, "city": "York\n"}, "city"),
        ("meters", {"name": "sdm630", "type": 2}, "name"),
        ("meters", {"name": "new", "type": 3}, "type"),
        ("measurements", {"measurement": "voltage_ac", "type": 1}, "name"),
        ("measurements", {"measurement": "new", "type": 0}, "type"),
        ("measurements", {"measurement": "new\n", "type": 1}, "measurement"),
        ("registers", REGISTER | {"address": 65_536}, "address"),
        ("registers", REGISTER | {"address": 65_535}, "address"),
        ("registers", REGISTER | {"measurement": "unheard_of"}, "measurement"),
        ("registers", REGISTER | {"meter": 99}, "meter"),
        ("registers", REGISTER | {"type": 9}, "type"),
        ("registers", REGISTER | {"unit": "kWh\n"}, "unit"),
        ("registers", REGISTER | {"function_code": 2}, "function_code"),
        ("registers", REGISTER | {"missing": [2**64]}, "missing"),
        ("registers", REGISTER | {"meter": 1, "measurement": "voltage_ac"}, "measurement"),
        ("meter-points", {"meter_id": 5, "user": 99}, "user"),
        ("meter-points", {"meter_id": 5, "user": 1, "zone": "Mars/Base"}, "zone"),
    ],
)
def test_what_cannot_be_is_refused_and_the_field_named(
    admin: httpx.Client, things: str, body: dict[str, Any], field: str
) -> None:
    answer = admin.post(f"/admin/{things}", json=body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["errors"]


@pytest.mark.parametrize(
    ("things", "body", "field"),
    [
        ("hosts", HOST | {"port": "503"}, "port"),
        ("hosts", HOST | {"port": 503.0}, "port"),
        ("hosts", HOST | {"port": True}, "port"),
        ("hosts", HOST | {"user": "1"}, "user"),
        ("locations", {"user": "1", **ADDRESS}, "user"),
        ("locations", {"user": 1, **ADDRESS, "number": 68}, "number"),
        ("locations", {"user": 1, **ADDRESS, "coord_x": "1.5"}, "coord_x"),
        ("locations", {"user": 1, **ADDRESS, "coord_x": "null"}, "coord_x"),
        ("meters", {"name": "new", "type": "2"}, "type"),
        ("registers", REGISTER | {"missing": ["1"]}, "missing"),
        ("locations", ["not", "an", "object"], "body"),
        ("locations", ADDRESS, "user"),
    ],
)
def test_a_value_of_another_type_is_refused_and_the_field_named(
    admin: httpx.Client, things: str, body: object, field: str
) -> None:
    answer = admin.post(f"/admin/{things}", json=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize(
    "body",
    [b'{"username": "\xff"}', b'{"more": ' + b"[" * 100_000, b'{"username": "\\ud800', b"nothing"],
    ids=["not UTF-8", "too deep", "broken off", "no JSON"],
)
def test_what_is_no_json_is_refused(server: Server, body: bytes) -> None:
    with client_of(server.url) as client:
        answer = client.post("/auth/login", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("ip", ["192.168.1.20", "2001:db8::7", "meter-7.example"])
def test_a_host_is_an_address_or_a_name(admin: httpx.Client, ip: str) -> None:
    assert made(admin, "hosts", HOST | {"ip": ip})["ip"] == ip


def test_assigning_makes_the_meter_point_and_its_channels(
    admin: httpx.Client, book: Database
) -> None:
    path = "/user/hosts/1/measurements"
    wrong = admin.post(path, json={"measurements": ["voltage_ac", "unheard_of"]})
    assert wrong.status_code == 400
    assert "unheard_of" in wrong.json()["errors"]["measurements"][0]
    assert admin.get(path).json() == [], "all or nothing"
    names = ["active_energy_produced", "voltage_ac"]
    first = admin.post(path, json={"measurements": names}).json()
    again = admin.post(path, json={"measurements": [*names, *names]}).json()
    assert first == again == admin.get(path).json()
    with book.reading() as connection:
        rows = connection.execute(
            sa.select(
                channels.c.measurement,
                channels.c.flow,
                channels.c.counting,
                channels.c.unit,
                meter_points.c.account_id,
            )
            .join(host_measurements, host_measurements.c.channel_id == channels.c.id)
            .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
            .order_by(channels.c.measurement)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("active_energy_produced", Flow.EXPORT, Counting.CUMULATIVE, "Wh", 1),
        ("voltage_ac", Flow.IMPORT, Counting.INSTANT, "V", 1),
    ]


def test_what_is_in_use_or_has_history_is_not_lost_with_a_click(
    admin: httpx.Client, book: Database
) -> None:
    for path in ("locations/1", "meters/1", "measurements/voltage_ac", "registers/1"):
        answer = admin.delete(f"/admin/{path}")
        assert answer.status_code == 409, path
        assert answer.json()["detail"]
    for path, change in (
        ("hosts/1", {"user": 2, "location": 2}),
        ("measurements/voltage_ac", {"type": 2}),
        ("registers/1", {"unit": "mV"}),
        ("locations/1", {"user": 2}),
    ):
        assert admin.patch(f"/admin/{path}", json=change).status_code == 409, path
    assert admin.patch("/admin/hosts/1", json={"meter": 2}).status_code == 400


def test_a_host_with_a_history_is_archived_and_its_address_free_again(
    admin: httpx.Client, book: Database
) -> None:
    host = made(admin, "hosts", HOST | {"port": 5020})["id"]
    path = f"/user/hosts/{host}/measurements"
    assert admin.post(path, json={"measurements": ["voltage_ac"]}).status_code == 201
    unassign = admin.request("DELETE", path, json={"measurements": ["voltage_ac"]})
    assert unassign.status_code == 204
    assert admin.delete(f"/admin/hosts/{host}").status_code == 204
    assert admin.get(f"/admin/hosts/{host}").status_code == 404
    with book.reading() as connection:
        kept = sa.select(hosts.c.archived_at).where(hosts.c.id == host)
        assert connection.execute(kept).scalar_one() is not None
    assert made(admin, "hosts", HOST | {"port": 5020})["id"] > host


def test_lists_are_cut_as_asked(admin: httpx.Client) -> None:
    whole = admin.get("/admin/registers").json()
    assert admin.get("/admin/registers", params={"limit": 1, "offset": 1}).json() == whole[1:2]
    assert admin.get("/admin/registers", params={"offset": 1}).json() == whole[1:]


def test_an_unclaimed_meter_is_listed_claimed_and_given_a_key(
    admin: httpx.Client, server: Server
) -> None:
    packet = {"id": 31, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}
    with client_of(server.url) as meter:
        assert meter.post("/meter", json=packet).status_code == 201
        listed = admin.get("/admin/unclaimed-meters").json()
        assert [point["meter_id"] for point in listed] == [31]
        claim = {"meter_id": 31, "user": 1, "region": "west", "zone": "Asia/Singapore"}
        point = made(admin, "meter-points", claim)
        assert (point["user"], point["region"], point["zone"]) == (1, "west", "Asia/Singapore")
        assert admin.post("/admin/meter-points", json=claim).status_code == 400
        assert admin.get("/admin/unclaimed-meters").json() == []
        key = admin.post("/admin/packet-meters/31/key").json()["key"]
        assert meter.post("/meter", json=packet).status_code == 401
    with client_of(server.url, key) as meter:
        assert meter.post("/meter", json=packet).status_code == 201
    assert admin.delete("/admin/packet-meters/31/key").status_code == 204


def test_both_values_of_a_conflict_are_shown(admin: httpx.Client, book: Database) -> None:
    record_packets(book, [Packet(77, 1_739_000_000, 100)])
    record_packets(book, [Packet(77, 1_739_000_000, 70)])
    [conflict] = admin.get("/admin/conflicts").json()
    assert (conflict["meter_id"], conflict["superseded"], conflict["counting"]) == (77, 100, 70)
    assert conflict["unit"] == "Wh"


def test_a_character_no_database_stores_is_refused_by_the_audit_log_too(
    admin: httpx.Client,
) -> None:
    answer = admin.get("/admin/audit", params={"subject": "hosts/8\x00"})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["subject"]


def test_the_audit_log_says_who_changed_what(admin: httpx.Client) -> None:
    made_one = made(admin, "meters", {"name": "to change", "type": 1})["id"]
    admin.patch(f"/admin/meters/{made_one}", json={"type": 2})
    admin.delete(f"/admin/meters/{made_one}")
    entries = admin.get("/admin/audit", params={"subject": f"meters/{made_one}"}).json()
    assert [entry["action"] for entry in entries] == ["remove", "change", "add"]
    assert {entry["account"] for entry in entries} == {2}
    assert (entries[1]["before"]["type"], entries[1]["after"]["type"]) == (1, 2)
