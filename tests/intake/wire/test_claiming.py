"""From a device's first message to its owner's page, over HTTP as people do it."""

import csv
import json
import time
from pathlib import Path
from typing import Any

from callers import client_of, signed_in
from device_owners import Owner
from meterbook.registry.accounts import Role

LAST = int(time.time()) // 1800 * 1800 - 3600
FIRST = LAST - 7200


def open_claims(seen: list[dict[str, Any]]) -> list[str]:
    """Return the claims that are open again."""
    return [
        f"/user/devices/{device['id']}/inputs/{found['id']}/claim"
        for device in seen
        for found in device["inputs"]
        if found["mapping"] is None
    ]


def test_a_claimed_counter_shows_on_its_owners_page_what_it_counted_before(owner: Owner) -> None:
    rows = [[FIRST + 60 * i, "roof", {"total": 5000 + 0.01 * i}] for i in range(121)]
    with owner.client() as device:
        form = {"apikey": owner.hex32, "data": json.dumps(rows), "time": "0"}
        assert device.post("/emoncms/input/bulk.json", data=form).text == "ok"
    with owner.api() as api:
        seen = api.get("/user/devices").json()
        (roof,) = [found for found in seen if found["foreign_id"] == "roof"]
        (total,) = roof["inputs"]
        assert (total["last_amount"], total["mapping"]) == (5001.2, None)
        path = f"/user/devices/{roof['id']}/inputs/{total['id']}/claim"
        what = {"mapping": "counter", "unit": "kWh", "meter_id": 27_182}
        for _ in range(2):
            claimed = api.post(path, json=what)
            assert claimed.status_code == 201, claimed.text
            assert claimed.json()["is_recorded"]
        assert api.post(path, json=what | {"unit": "Wh"}).status_code == 409
        first, end = (time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (FIRST, LAST + 86_400))
        shown = api.get(
            f"/profile/27182/consumption?from={first}&to={end}",
            headers={"Accept": "application/json"},
        )
        assert shown.json()["total_kWh"] == 1.2
        assert api.delete(path).status_code == 204
        assert path in open_claims(api.get("/user/devices").json())


def test_ten_days_of_real_pulses_are_the_energy_that_their_meter_turned(
    owner: Owner, shared_data: Path
) -> None:
    with (shared_data / "s0_pulses" / "pulses.csv").open() as file:
        pulses_at = [int(row["timestamp_ms"]) // 1000 for row in csv.DictReader(file)]
    moved = (LAST - pulses_at[-1]) // 86_400 * 86_400  # whole days, so that it is not too old
    dials = {pulses_at[0] // 1800 * 1800 + moved: 0}
    dials |= {at + moved: count for count, at in enumerate(pulses_at, start=1)}
    dials[-(-pulses_at[-1] // 1800) * 1800 + moved] = len(pulses_at)
    rows = [[at, "s0", {"pulses": count}] for at, count in dials.items()]
    with owner.client() as device:
        for begin in range(0, len(rows), 1_000):
            some = json.dumps(rows[begin : begin + 1_000])
            form = {"apikey": owner.hex32, "data": some, "time": "0"}
            assert device.post("/emoncms/input/bulk.json", data=form).text == "ok"
    with owner.api() as api:
        (s0,) = [one for one in api.get("/user/devices").json() if one["foreign_id"] == "s0"]
        path = f"/user/devices/{s0['id']}/inputs/{s0['inputs'][0]['id']}/claim"
        what = {"mapping": "counter", "factor": "1/2", "meter_id": 2_000}  # pulses a kWh
        assert api.post(path, json=what).status_code == 201
        first, end = (
            time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (min(dials), LAST + 86_400)
        )
        shown = api.get(f"/profile/2000/consumption?from={first}&to={end}&format=json")
    assert shown.json()["total_kWh"] == 10.672
    assert (len(pulses_at), shown.json()["estimated_kWh"]) == (21_344, 0)


def test_a_device_without_a_key_is_nobodys_until_an_admin_gives_it(owner: Owner) -> None:
    with owner.client() as device:
        assert device.post("/input/post?node=stray&csv=1").text == "ok"
    _, operator = signed_in(owner.book, "operator", role=Role.OPERATOR)
    _, admin = signed_in(owner.book, "admin", role=Role.ADMIN)
    with client_of(owner.server.url, operator) as api:
        (stray,) = [
            found
            for found in api.get("/admin/unclaimed-devices").json()
            if found["foreign_id"] == "stray"
        ]
    assert stray["user"] is None
    claim = f"/user/devices/{stray['id']}/inputs/{stray['inputs'][0]['id']}/claim"
    power = {"mapping": "momentary", "unit": "W"}
    with owner.api() as mine, client_of(owner.server.url, admin) as api:
        assert mine.post(claim, json=power).status_code == 404
        assert api.post(claim, json=power).status_code == 409
        given = api.patch(f"/admin/devices/{stray['id']}", json={"user": owner.user})
        assert given.json()["user"] == owner.user
        changes = {"name": "the stray", "zone": "Europe/Berlin"}
        changed = mine.patch(f"/user/devices/{stray['id']}", json=changes)
        assert changed.json()["zone"] == "Europe/Berlin"
        assert mine.patch(f"/user/devices/{stray['id']}", json={"zone": "X"}).status_code == 400
        claimed = mine.post(claim, json=power)
        assert claimed.status_code == 201, claimed.text
        taken = api.patch(f"/admin/devices/{stray['id']}", json={"user": None})
        assert taken.status_code == 409


def test_what_did_not_announce_itself_must_be_described(owner: Owner) -> None:
    key = owner.token20
    with owner.client() as device:
        stamp = (LAST - 600) * 1000
        body = {"ts": stamp, "values": {"energy": 1}}
        assert device.post(f"/api/v1/{key}/telemetry", json=body).status_code == 200
    with owner.api() as api:
        found = next(
            found for found in api.get("/user/devices").json() if found["scheme"] == "thingsboard"
        )
        path = f"/user/devices/{found['id']}/inputs/{found['inputs'][0]['id']}/claim"
        refused = api.post(path, json={})
        assert refused.status_code == 400
        assert list(refused.json()["errors"]) == ["mapping"]
