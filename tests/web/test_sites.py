"""Pages of sites and hosts: figures as the API gives them, in words, for those who may see them."""

import re
import time
from collections.abc import Iterator
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import httpx
import pytest

from callers import AnyPassword, client_of, signed_in
from meterbook.domain.solar import PerformanceRatio, performance_ratio
from meterbook.queries.site_report import SolarFigures
from meterbook.registry.accounts import Role
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database
from meterbook.web.languages import speak
from meterbook.web.sites import why_no_ratio
from polled import EXPORTED, Home, solar_home_until
from servers import Server, running_server

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any
) -> Iterator[tuple[Server, Home, dict[str, str]]]:
    """Give a server with a solar home that was read until now, and tokens by caller."""
    folder = tmp_path_factory.mktemp("sites")
    file = folder / "meterbook.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{file}")
    assert AnyPassword.stored()
    made = solar_home_until(database, now=int(time.time()))
    now = int(time.time())
    tokens: dict[str, str] = {}
    with database.writing() as connection:
        tokens["anna"] = issue_token(connection, account_id=made.account_id, purpose="api", now=now)
    _, tokens["operator"] = signed_in(database, "operator", role=Role.OPERATOR)
    _, tokens["stranger"] = signed_in(database, "stranger")
    with running_server(folder / "data", database_url=f"sqlite:///{file}") as server:
        yield server, made, tokens
    database.close()


def page_of(place: tuple[Server, Home, dict[str, str]], path: str, *, caller: str = "anna") -> str:
    server, _, tokens = place
    with client_of(server.url, tokens[caller]) as client:
        answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", answer.text)


def test_a_site_shows_the_flow_now_and_over_the_period(
    place: tuple[Server, Home, dict[str, str]],
) -> None:
    _, made, _ = place
    begin = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 7_200))
    end = time.strftime("%Y-%m-%d", time.gmtime(time.time() + timedelta(days=1).total_seconds()))
    page = page_of(place, f"/sites/{made.location_id}?from={begin}&to={end}")
    # 50 Wh a minute from the roof, 20 to the grid, 10 from it: 40 used.
    for figure in ("3.00 kW", "2.40 kW", "0.60 kW", "1.20 kW"):
        assert figure in page
    assert "60 %" in page, "(50 - 20) / 50 used at home"
    assert "75 %" in page, "(50 - 20) / 40 from the roof"
    assert f'href="/hosts/{made.hosts[0]}"' in page


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        pytest.param(
            performance_ratio(10, known_clear_sky_wh=82.0, clear_sky_wh=100.0),
            "nur 82 % des Tageslichts sind bekannt, 90 % sind nötig",
            id="too little known",
        ),
        pytest.param(
            performance_ratio(0, known_clear_sky_wh=0.0, clear_sky_wh=0.0),
            "in diesem Zeitraum schien die Sonne nicht auf die Module",
            id="night",
        ),
        pytest.param(
            performance_ratio(10, known_clear_sky_wh=95.0, clear_sky_wh=100.0), "", id="said"
        ),
    ],
)
def test_why_no_performance_is_said_stands_in_the_readers_language(
    ratio: PerformanceRatio, words: str
) -> None:
    figures = SolarFigures(6.0, None, None, ratio.ratio, ratio.completeness, ratio.refused)
    german = copy_context()
    german.run(speak, "de")
    assert " ".join(german.run(why_no_ratio, figures).split()) == words


def test_a_host_shows_what_it_reads_and_how_reading_it_goes(
    place: tuple[Server, Home, dict[str, str]],
) -> None:
    _, made, _ = place
    page = page_of(place, f"/hosts/{made.hosts[0]}")
    assert "Active energy consumed" in page
    assert "6.190 kWh" in page
    assert "missed a poll" in page
    assert "No answer in time" in page
    assert 'data-figure="measured-figure"' in page
    energy = page_of(place, f"/hosts/{made.hosts[1]}?measurement={EXPORTED}&period=prev-hr")
    assert "Energy" in energy
    assert "answers" in energy


def test_the_list_of_sites_leads_to_both_and_is_empty_for_a_stranger(
    place: tuple[Server, Home, dict[str, str]],
) -> None:
    _, made, _ = place
    for caller in ("anna", "operator"):
        page = page_of(place, "/sites", caller=caller)
        assert f'href="/sites/{made.location_id}"' in page
        assert f'href="/hosts/{made.hosts[1]}"' in page
    assert "No site yet" in page_of(place, "/sites", caller="stranger")


def test_strangers_find_nothing_and_who_is_signed_out_is_asked_to_sign_in(
    place: tuple[Server, Home, dict[str, str]],
) -> None:
    server, made, tokens = place
    paths = (f"/sites/{made.location_id}", f"/hosts/{made.hosts[0]}")
    with client_of(server.url, tokens["stranger"]) as client:
        assert [client.get(path, headers=PAGE).status_code for path in paths] == [404, 404]
    for path in paths:
        answer = httpx.get(server.url + path, headers=PAGE)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "from: is no date"), ("de", "from: ist kein Datum")]
)
def test_a_wrong_address_is_told_by_its_own_names_in_the_readers_words(
    place: tuple[Server, Home, dict[str, str]], language: str, words: str
) -> None:
    server, made, tokens = place
    with client_of(server.url, tokens["anna"]) as client:
        headers = PAGE | {"Accept-Language": language}
        page = client.get(f"/sites/{made.location_id}?from=abc", headers=headers)
        document = client.get(f"/sites/{made.location_id}?from=abc").json()
    assert page.status_code == 400
    assert words in page.text
    assert not re.search("first_day|RFC3339", page.text)
    assert list(document["errors"]) == ["from"]


def test_the_json_of_a_page_is_what_the_api_answers(
    place: tuple[Server, Home, dict[str, str]],
) -> None:
    server, made, tokens = place
    with client_of(server.url, tokens["anna"]) as client:
        status = client.get(f"/hosts/{made.hosts[0]}").json()
        assert status == client.get(f"/user/hosts/{made.hosts[0]}/status").json()
        report = client.get(f"/sites/{made.location_id}?period=prev-day").json()
        same = client.get(f"/user/locations/{made.location_id}/energy?period=prev-day").json()
    assert report == same
