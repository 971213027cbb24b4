"""The dashboard: its figures are those of the meters, its page says what its JSON says."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from books import record_packets
from callers import client_of, signed_in
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.pace import unhurried
from meterbook.jobs.regions import RegionUpkeep
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters
from meterbook.simulate.demo_homes import DEMO_REGIONS
from meterbook.storage.database import Database
from servers import Server, running_server

TODAY = datetime.now(UTC).date()
DAYS = [TODAY - timedelta(days=n) for n in range(4, -1, -1)]
REGIONS = {1: "North London", 2: "North London", 3: "Sül & <Süd>"}  # 4 has none
HTML = {"Accept": "text/html"}
TOKENS: dict[str, str] = {}


def wh(meter: int, start: int) -> int:
    return meter * 1000 + start // 1800 % 997


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    """Give a server with four meters, four closed days and what there is of today."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "book.sqlite").write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{folder / 'book.sqlite'}"
    database = Database(url)
    now = int(time.time())
    with database.writing() as connection:
        add_meters(connection, range(1, 5), zone="UTC", now=now - 10 * 86_400, regions=REGIONS)
    packets = [
        Packet(meter, start + 1860, wh(meter, start))
        for day in DAYS
        for start in interval_starts(day, ZoneInfo("UTC"))
        for meter in range(1, 5)
        if start + 1860 <= now and (meter != 4 or day < DAYS[-2])
    ]
    record_packets(database, packets)
    record_packets(database, [Packet(1, packets[0].stamp, 1)])
    for day in DAYS[:-1]:
        close_day(database, day=day, zone=ZoneInfo("UTC"), now=now)
    RegionUpkeep(database, silent_intervals=4).run(now=now, pace=unhurried())
    database.close()
    settings = {"regions": str(DEMO_REGIONS)}
    with running_server(folder / "data", database_url=url, settings=settings) as started:
        opened = Database(url)
        for name, role in (("operator", Role.OPERATOR), ("household", Role.HOUSEHOLD)):
            _, TOKENS[name] = signed_in(opened, name, role=role)
        opened.close()
        yield started


@pytest.fixture
def operator(server: Server) -> Iterator[httpx.Client]:
    """Give a client that an operator uses."""
    with client_of(server.url, TOKENS["operator"]) as client:
        yield client


def in_wh(energy_kwh: float) -> int:
    return round(energy_kwh * 1000)


def test_the_parts_add_up_to_the_total_in_every_period(operator: httpx.Client) -> None:
    for query in ("", "?period=current-week", "?period=current-year", "?period=prev-day"):
        answer = operator.get(f"/management-dashboard/{query}").json()["consumption"]
        regions = {r["region"]: in_wh(r["total_kWh"]) for r in answer["regions"]}
        assert sum(regions.values()) == in_wh(answer["total_kWh"])
        for region, total in regions.items():
            points = [p for p in answer["points"] if p["region"] == region]
            assert sum(in_wh(point["kWh"]) for point in points) == total


def test_closed_days_are_the_sums_of_their_readings(operator: httpx.Client) -> None:
    day = DAYS[1]
    starts = interval_starts(day, ZoneInfo("UTC"))
    query = {"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat()}
    answer = operator.get("/management-dashboard/", params=query).json()["consumption"]
    shown = {r["region"]: in_wh(r["total_kWh"]) for r in answer["regions"]}
    sums = {meter: sum(wh(meter, start) for start in starts) for meter in range(1, 5)}
    assert shown == {"North London": sums[1] + sums[2], "Sül & <Süd>": sums[3], "": sums[4]}
    assert {r["completeness"] for r in answer["regions"]} == {1.0}
    for region, energy_wh in shown.items():
        below = operator.get(
            "/management-dashboard/region", params=query | {"region": region}
        ).json()
        assert in_wh(below["total_kWh"]) == energy_wh
        assert sum(in_wh(p["kWh"]) for p in below["profile"]) == energy_wh
        assert len(below["profile"]) == 48


def test_change_is_that_of_full_days_against_the_days_before(operator: httpx.Client) -> None:
    query = {"from": DAYS[1].isoformat(), "to": DAYS[2].isoformat()}
    answer = operator.get("/management-dashboard/", params=query).json()["consumption"]
    sums = [
        sum(wh(3, start) for start in interval_starts(day, ZoneInfo("UTC"))) for day in DAYS[:2]
    ]
    change = {r["region"]: r["change"] for r in answer["regions"]}
    assert change["Sül & <Süd>"] == pytest.approx(sums[1] / sums[0] - 1, abs=1e-4)
    assert answer["compared_from"] == DAYS[0].isoformat()


def test_what_needs_an_eye_is_there(operator: httpx.Client) -> None:
    attention = operator.get("/management-dashboard/").json()["attention"]
    assert [m["meter_id"] for m in attention["silent"]] == [4]
    assert [m["meter_id"] for m in attention["unclaimed"]] == [1, 2, 3, 4]
    assert [c["meter_id"] for c in attention["conflicts"]] == [1]
    assert [c["day"] for c in attention["closes"]] == [d.isoformat() for d in reversed(DAYS[:-1])]
    for name in ("silent", "unclaimed", "conflicts"):
        assert operator.get(f"/management-dashboard/{name}").json() == attention[name]
        assert operator.get(f"/management-dashboard/{name}?page=2").json() == []


def test_the_page_says_what_the_json_says_and_names_are_only_text(operator: httpx.Client) -> None:
    answer = operator.get("/management-dashboard/").json()["consumption"]
    page = operator.get("/management-dashboard/", headers=HTML)
    assert page.status_code == 200
    assert f"{answer['total_kWh']:,.1f}" in page.text
    for region in answer["regions"]:
        assert f"{region['total_kWh']:,.1f}" in page.text
    assert "<Süd>" not in page.text
    assert "region=S%C3%BCl%20%26%20%3CS%C3%BCd%3E" in page.text
    assert page.text.count('class="map-region map-shade-') == 5
    links = re.findall(r'href="(/management-dashboard/region\?[^"]+)"', page.text)
    for link in set(links):
        below = operator.get(link.replace("&amp;", "&"), headers=HTML)
        assert below.status_code == 200


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "1 silent"), ("de", "1 schweigt"), ("pl", "1 milczy")],
)
def test_one_silent_meter_is_said_in_the_singular(
    operator: httpx.Client, language: str, words: str
) -> None:
    page = operator.get("/management-dashboard/", headers=HTML | {"Accept-Language": language})
    assert f"{words}</span>" in page.text


@pytest.mark.parametrize("query", ["period=prev-month", "from={first}&to={end}"])
def test_the_map_leads_to_a_region_over_the_same_period(operator: httpx.Client, query: str) -> None:
    asked = query.format(first=DAYS[0], end=DAYS[-1])
    page = operator.get(f"/management-dashboard/?{asked}", headers=HTML).text
    links = [tag for tag in re.findall("<a [^>]*>", page) if "region?region=East%20London" in tag]
    assert len(links) == 1
    assert asked.replace("&", "&amp;") in links[0]


def test_without_the_slash_one_is_led_to_it_with_the_query(operator: httpx.Client) -> None:
    answer = operator.get("/management-dashboard?period=prev-week", headers=HTML)
    assert answer.status_code == 308
    assert answer.headers["location"] == "/management-dashboard/?period=prev-week"


@pytest.mark.parametrize(
    "query", ["period=prev-hr", "from=2025-01-01", "from=2025-01-02&to=2025-01-01", "from=x&to=y"]
)
def test_what_is_no_period_is_a_400_in_words(operator: httpx.Client, query: str) -> None:
    for path in ("/management-dashboard/", "/management-dashboard/region"):
        answer = operator.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"


def test_days_that_make_no_period_are_told_in_the_readers_language(operator: httpx.Client) -> None:
    german = HTML | {"Accept-Language": "de"}
    turned = "/management-dashboard/?from=2025-02-02&to=2025-02-01"
    page = operator.get(turned, headers=german)
    meter = operator.get("/profile/1/consumption?from=2025-02-02&to=2025-02-01", headers=german)
    half = operator.get("/management-dashboard/?from=2025-02-02", headers=german)
    assert (page.status_code, half.status_code) == (400, 400)
    assert "Wählen Sie ein späteres Ende, höchstens 400 Tage" in page.text
    assert "Wählen Sie ein späteres Ende, höchstens hundert Jahre" in meter.text
    assert "Wählen Sie beide Tage" in half.text
    assert "a day after" not in page.text
    assert list(operator.get(turned).json()["errors"]) == ["period"]


def test_an_unknown_period_names_those_of_the_dashboard(operator: httpx.Client) -> None:
    detail = operator.get("/management-dashboard/?period=current-day").json()["detail"]
    known = detail.partition("known are ")[2].removesuffix(", or from= and to= (days)").split(", ")
    assert "last-30-days" in known
    for name in known:
        assert operator.get(f"/management-dashboard/?period={name}").is_success


def test_households_are_told_no_and_strangers_to_sign_in(server: Server) -> None:
    with client_of(server.url, TOKENS["household"]) as client:
        assert client.get("/management-dashboard/").status_code == 403
        assert "North London" not in client.get("/management-dashboard/", headers=HTML).text
    with client_of(server.url) as client:
        assert client.get("/management-dashboard/").status_code == 401
        page = client.get("/management-dashboard/?period=prev-day", headers=HTML)
        assert page.status_code == 303
        assert page.headers["location"] == (
            "/sign-in?next=/management-dashboard%3Fperiod%3Dprev-day"
        )


def test_a_region_nobody_knows_is_empty_not_an_error(operator: httpx.Client) -> None:
    answer = operator.get("/management-dashboard/region", params={"region": "nowhere"}).json()
    assert (answer["total_kWh"], answer["days"], answer["meters"]) == (0.0, [], [])
    assert date.fromisoformat(answer["starts_on"]) <= TODAY
