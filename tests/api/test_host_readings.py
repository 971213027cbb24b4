"""Readings, status and counter events of hosts, over HTTP."""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from callers import client_of, signed_in
from meterbook.day_close import close_day
from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.local_days import day_bounds
from meterbook.intake.host_recorder import HostRecorder
from meterbook.registry.accounts import Role
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database
from polled import EXPORTED, IMPORTED, Home, home, poll
from servers import Server

WARSAW = ZoneInfo("Europe/Warsaw")
DAY = date(2025, 10, 26)  # 25 hours
NEXT = DAY + timedelta(days=1)
BEGINS, ENDS = day_bounds(DAY, WARSAW)
VOLTAGE = "voltage_ac_l1"


@pytest.fixture(scope="module")
def place(server: Server, book: Database) -> Home:
    """Give a home whose day is read every minute, with a gap from 12:00 to 12:30."""
    made = home(book, measurements=[IMPORTED, EXPORTED, VOLTAGE], zone=WARSAW.key, name="warsaw")
    [host_id] = made.hosts
    recorder = HostRecorder(book)
    noon = ENDS - 12 * 3600
    polls = [
        poll(host_id, at, {IMPORTED: 500_000 + (at - BEGINS) // 60 * 7, VOLTAGE: 230_125 + at % 7})
        for at in range(BEGINS - 1200, ENDS + 600, 60)
        if not noon <= at < noon + 1800
    ]
    polls += [poll(host_id, ENDS + 600 + 5 * i, {VOLTAGE: 229_000 + i * 1000}) for i in range(3)]
    polls.append(
        HostPoll(host_id, (ENDS + 1_000) * 1000, {}, {IMPORTED: PollFailure.TIMEOUT}, 5_000)
    )
    for begin in range(0, len(polls), 500):
        recorder.record(polls[begin : begin + 500])
    return made


@pytest.fixture(scope="module")
def owner(server: Server, book: Database, place: Home) -> Iterator[httpx.Client]:
    """Give the client of the home's account."""
    with book.writing() as connection:
        token = issue_token(
            connection, account_id=place.account_id, purpose="api", now=int(time.time())
        )
    with client_of(server.url, token) as client:
        yield client


def asked(client: httpx.Client, place: Home, **wanted: str) -> Any:
    days = {"from": str(DAY), "to": str(NEXT)}
    answer = client.get(f"/user/hosts/{place.hosts[0]}/readings", params=days | wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_energy_is_in_kwh_on_the_meter_points_clock_and_adds_up(
    owner: httpx.Client, place: Home
) -> None:
    answers = [
        asked(owner, place, measurement=IMPORTED, resolution=resolution)
        for resolution in ("five-minutes", "quarter-hour", "half-hour", "hour", "day")
    ]
    assert [len(answer["points"]) for answer in answers] == [300, 100, 50, 25, 1]
    for answer in answers:
        assert answer["total"] == pytest.approx(25 * 60 * 7 / 1000)
        assert round(sum(p["energy"] * 1000 for p in answer["points"])) == 25 * 60 * 7
        assert answer["missing_intervals"] == 0
        assert answer["estimated"] == pytest.approx(0.245)  # 12:00 is read at 11:59 and 12:30
    hour = answers[3]
    assert (hour["unit"], hour["timezone"], hour["type"]) == ("kWh", "Europe/Warsaw", 2)
    assert [p["starts_at"] for p in hour["points"][1:4]] == [
        "2025-10-26T01:00:00+02:00", "2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00",
    ]  # fmt: skip
    assert hour["points"][13]["quality"] == "mixed"
    assert answers[0]["points"][0] == {
        "starts_at": "2025-10-26T00:00:00+02:00", "energy": 0.035, "quality": "raw",
    }  # fmt: skip


def test_what_is_of_the_moment_has_mean_least_and_greatest_and_gaps_are_null(
    owner: httpx.Client, place: Home
) -> None:
    minutes = asked(owner, place, measurement=VOLTAGE, resolution="minute")
    hours = asked(owner, place, measurement=VOLTAGE, resolution="hour")
    assert len(minutes["points"]) == 25 * 60
    assert (hours["unit"], hours["type"], hours["missing_intervals"]) == ("V", 1, 30)
    assert 230.125 <= hours["lowest"] <= hours["mean"] <= hours["highest"] <= 230.131
    gap = [p for p in minutes["points"] if p["mean"] is None]
    assert len(gap) == 30
    assert gap[0] == {
        "starts_at": "2025-10-26T12:00:00+01:00", "mean": None, "lowest": None, "highest": None,
        "missing_intervals": 1,
    }  # fmt: skip
    later = asked(
        owner, place, measurement=VOLTAGE, resolution="hour", to=str(NEXT + timedelta(days=1))
    )
    quarter = later["points"][25]
    assert (quarter["lowest"], quarter["highest"]) == (229.0, 231.0)


def test_an_answer_is_the_same_before_and_after_the_day_is_closed(
    owner: httpx.Client, place: Home, book: Database
) -> None:
    wanted = [
        {"measurement": name, "resolution": resolution}
        for name in (IMPORTED, VOLTAGE)
        for resolution in ("minute", "hour", "day")
    ]
    before = [asked(owner, place, **each) for each in wanted]
    close = close_day(book, day=DAY, zone=WARSAW, now=ENDS + 7200)
    assert close.readings
    assert [asked(owner, place, **each) for each in wanted] == before


def test_the_resolution_is_chosen_for_the_eye_and_refused_where_it_is_too_fine(
    owner: httpx.Client, place: Home
) -> None:
    chosen = {
        days: asked(owner, place, measurement=VOLTAGE, to=str(DAY + timedelta(days=days)))
        for days in (1, 7, 30, 366)
    }
    assert {days: answer["resolution"] for days, answer in chosen.items()} == {
        1: "five-minutes", 7: "quarter-hour", 30: "hour", 366: "day",
    }  # fmt: skip
    too_fine = {"measurement": VOLTAGE, "from": "2020-01-01", "to": "2025-01-01"}
    answer = owner.get(
        f"/user/hosts/{place.hosts[0]}/readings", params=too_fine | {"resolution": "minute"}
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["resolution"]


def test_status_says_what_the_host_shows_and_how_polling_it_goes(
    owner: httpx.Client, place: Home
) -> None:
    answer = owner.get(f"/user/hosts/{place.hosts[0]}/status").json()
    assert answer["failures_in_a_row"] == 1
    assert answer["failing"] == {IMPORTED: "timeout"}
    assert answer["failures"]["timeout"]["polls"] == 1
    assert answer["last_attempt"] == "2025-10-27T00:16:40+01:00"
    assert answer["last_success"] == "2025-10-27T00:10:10+01:00"
    shown = {live["measurement"]: live for live in answer["measurements"]}
    assert (shown[VOLTAGE]["amount"], shown[VOLTAGE]["unit"]) == (231.0, "V")
    assert shown[VOLTAGE]["at"] == "2025-10-27T00:10:10+01:00"
    assert shown[IMPORTED]["amount"] == (500_000 + 7 * (25 * 60 + 9)) / 1000
    assert shown[EXPORTED]["amount"] is None


def test_hosts_of_another_household_are_not_there_and_staff_sees_all(
    server: Server, book: Database, place: Home
) -> None:
    for role, expected in ((Role.HOUSEHOLD, 404), (Role.OPERATOR, 200), (Role.ADMIN, 200)):
        _, token = signed_in(book, f"asking {role}", role=role)
        with client_of(server.url, token) as client:
            for path in (
                f"/user/hosts/{place.hosts[0]}/status",
                f"/user/hosts/{place.hosts[0]}/traits",
                f"/user/hosts/{place.hosts[0]}/readings?measurement={IMPORTED}",
                f"/user/locations/{place.location_id}/energy",
                f"/user/locations/{place.location_id}/arrays",
            ):
                assert client.get(path).status_code == expected, path


def test_an_exchanged_meter_told_later_fills_the_gap_and_is_in_the_audit_log(
    server: Server, book: Database
) -> None:
    exchanged = home(book, measurements=[IMPORTED], name="exchanged")
    [host_id] = exchanged.hosts
    old = [poll(host_id, BEGINS + 60 * i, {IMPORTED: 900_000 + 10 * i}) for i in range(60)]
    new = [poll(host_id, BEGINS + 60 * i, {IMPORTED: 10 * i - 500}) for i in range(62, 122)]
    HostRecorder(book).record([*old, *new])
    _, token = signed_in(book, "exchanging admin", role=Role.ADMIN)
    body = {
        "measurement": IMPORTED,
        "at": datetime.fromtimestamp(BEGINS + 3660, WARSAW).isoformat(),
        "final": 900.610,
        "first": 0.110,
        "reason": "the meter was exchanged",
    }
    with client_of(server.url, token) as admin:
        path = f"/admin/hosts/{host_id}/counter-events"
        wrong = admin.post(path, json=body | {"final": 1.0})
        assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["at"])
        answer = admin.post(path, json=body)
        assert (answer.status_code, answer.json()) == (201, {"settled_intervals": 2})
        assert admin.post(path, json=body).status_code == 400
        log = admin.get("/admin/audit", params={"subject": f"hosts/{host_id}/measurements"})
        readings = admin.get(
            f"/user/hosts/{host_id}/readings",
            params={"measurement": IMPORTED, "from": "2025-10-25", "to": "2025-10-27"},
        ).json()
    assert log.json()[0]["action"] == "counter-event"
    assert log.json()[0]["after"]["final"] == 900_610
    assert readings["total"] == 1.2
    known = [p["energy"] for p in readings["points"] if p["energy"] is not None]
    assert known == [0.05] * 24
