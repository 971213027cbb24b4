"""Files over HTTP: in with a report, out as what came in, and pages as Octopus clients ask."""

import base64
import gzip
import io
import itertools
import socket
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from callers import client_of, signed_in
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters, claim_meters
from meterbook.storage.database import Database
from servers import Server, running_server

METER = 515
CSV = "starts_at,kWh\n" + "".join(
    f"2024-06-{day:02d}T{half // 2:02d}:{half % 2 * 30:02d}:00Z,{half / 1000}\n"
    for day in (1, 2, 3)
    for half in range(48)
)
DAY_KWH = sum(range(48)) / 1000


@pytest.fixture(scope="module")
def owner(server: Server, book: Database) -> str:
    """Give the token of a household with a meter."""
    account, token = signed_in(book, "owner of files")
    with book.writing() as connection:
        add_meters(connection, [METER], zone="UTC", now=0)
        claim_meters(connection, [METER], account_id=account.id, now=0)
    return token


@pytest.fixture(scope="module")
def operator(server: Server, book: Database) -> str:
    """Give an operator's token."""
    return signed_in(book, "operator of files", role=Role.OPERATOR)[1]


def imported(server: Server, token: str, text: str, **query: Any) -> httpx.Response:
    with client_of(server.url, token) as client:
        return client.post("/imports", content=text.encode(), params=query)


def test_a_household_imports_into_its_meter_once(server: Server, owner: str) -> None:
    dry = imported(server, owner, CSV, meter=METER, dry_run="true")
    first = imported(server, owner, CSV, meter=METER)
    again = imported(server, owner, CSV, meter=METER)

    assert (dry.json()["status"], dry.json()["new_days"]) == ("checked", 3)
    assert (first.json()["status"], first.json()["new_days"]) == ("stored", 3)
    [series] = first.json()["series"]
    assert (series["meter_id"], series["energy_kWh"]) == (METER, 3.384)
    assert (again.json()["new_days"], again.json()["revised_days"]) == (0, 0)
    with client_of(server.url, owner) as client:
        logged = client.get("/imports").json()
        consumption = client.get(
            f"/profile/{METER}/consumption", params={"from": "2024-06-01", "to": "2024-06-03"}
        )
    assert [entry["report"]["new_days"] for entry in logged[:2]] == [0, 3]
    assert consumption.json()["total_kWh"] == pytest.approx(3 * DAY_KWH, abs=2 * DAY_KWH)


def test_a_household_may_not_import_for_others(server: Server, owner: str, operator: str) -> None:
    assert imported(server, owner, CSV, meter=METER).status_code == 200
    answer = imported(server, owner, CSV, meter=516)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "not yours" in answer.json()["detail"]
    assert imported(server, operator, CSV, meter=516).json()["series"][0]["is_new"]
    with client_of(server.url, owner) as client:
        everybody = {
            entry["report"]["series"][0]["meter_id"] for entry in client.get("/imports").json()
        }
    assert everybody == {METER}


def test_a_refused_file_says_where_and_why(server: Server, operator: str) -> None:
    answer = imported(server, operator, CSV + "2024-06-04T00:00:00Z,x\n", meter=517)
    assert answer.json()["detail"] == "upload: line 146, column 1: has no number in column 'kWh'"
    assert answer.json()["report"]["rejected_lines"][0]["line"] == 146
    good = imported(server, operator, CSV + "2024-06-04T00:00:00Z,x\n", meter=517, partial="true")
    assert (good.json()["readings"], good.json()["rejected"]) == (144, 1)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"format": "nothing"}, "no format 'nothing'"),
        ({"zone": "Nowhere/Land"}, "unknown time zone"),
        ({"meter": "x"}, "must be 1 to 999999999"),
        ({"unit": "furlongs"}, ""),
        ({}, "names no meter"),
    ],
)
def test_a_wrong_wish_is_a_400(
    server: Server, operator: str, query: dict[str, str], problem: str
) -> None:
    answer = imported(server, operator, CSV, **query)
    assert answer.status_code == 400
    assert problem in answer.text


def test_a_form_carries_a_packed_file(server: Server, operator: str, shared_data: Path) -> None:
    file = shared_data / "nem12_examples" / "examples" / "Example_different_intervals.zip"
    with client_of(server.url, operator) as client:
        answer = client.post("/imports", files={"file": (file.name, file.read_bytes())})
    report = answer.json()
    assert (report["file"], report["format"], report["readings"]) == (file.name, "nem12", 96)


def test_the_seeds_files_are_imported_as_any(server: Server, owner: str, operator: str) -> None:
    master = '{"519": {"name": "", "previous_day": {"00:31": 1}, "2024-06-01": 5.5}}'
    dry = imported(server, operator, master, dry_run="true").json()
    stored = imported(server, operator, master, format="masterdb").json()
    assert (dry["format"], dry["new_days"], stored["new_days"]) == ("masterdb", 1, 1)
    assert "1 meters whose previous_day does not add up" in stored["notes"][0]
    assert imported(server, owner, master).status_code == 400
    recovery = '{"519": {"00:31": 1, "01:01": 2}}'
    assert "say its day" in imported(server, operator, recovery).json()["detail"]
    filled = imported(server, operator, recovery, day="2024-06-02").json()
    assert (filled["readings"], filled["new_days"], filled["book_stands"]) == (2, 1, True)
    other = imported(server, operator, recovery.replace("2}", "3}"), day="2024-06-02").json()
    assert (other["differing"], other["revised_days"]) == (1, 0)


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_a_packed_body_is_unpacked(server: Server, operator: str, packing: str) -> None:
    packed = io.BytesIO(gzip.compress(CSV.encode()))
    if packing == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", CSV)
    with client_of(server.url, operator) as client:
        pieces = iter([packed.getvalue()[:100], packed.getvalue()[100:]])
        report = client.post("/imports", content=pieces, params={"meter": 524}).json()
    assert (report["status"], report["readings"]) == ("stored", 144)


def _half_sent(server: Server, token: str) -> socket.socket:
    """Send a request's first half; the server has begun to read the file by then."""
    address = urlsplit(server.url)
    line = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
    head = f"POST /imports?meter=521 HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += f"Authorization: Token {token}\r\nContent-Length: {len(CSV)}\r\n\r\n"
    line.sendall(head.encode() + CSV[: len(CSV) // 2].encode())
    return line


def _readings(server: Server, token: str, meter: int) -> int:
    with client_of(server.url, token) as client:
        file = client.get("/exports/csv", params={"meter": meter})
    return file.text.count("\n") - 1 if file.status_code == 200 else 0


def test_a_body_that_breaks_off_leaves_nothing(server: Server, operator: str) -> None:
    _half_sent(server, operator).close()
    assert imported(server, operator, CSV, meter=522).json()["status"] == "stored"
    assert _readings(server, operator, 522) == 144
    assert _readings(server, operator, 521) == 0


def test_a_slow_body_is_stored_when_whole_and_holds_nobody_up(
    server: Server, operator: str
) -> None:
    with _half_sent(server, operator) as slow:
        assert imported(server, operator, CSV, meter=523).json()["status"] == "stored"
        assert _readings(server, operator, 521) == 0
        slow.sendall(CSV[len(CSV) // 2 :].encode())
        assert slow.recv(12) == b"HTTP/1.1 200"
    assert _readings(server, operator, 521) == 144


def test_a_file_that_is_too_large_is_a_413(tmp_path: Path) -> None:
    with running_server(tmp_path, settings={"upload_bytes_max": "2000"}) as small:
        database = Database(f"sqlite:///{tmp_path / 'meterbook.sqlite'}")
        token = signed_in(database, "admin", role=Role.ADMIN)[1]
        database.close()
        assert imported(small, token, CSV, meter=1).status_code == 413
        with client_of(small.url, token) as client:
            assert client.post("/imports", files={"file": CSV.encode()}).status_code == 413


@pytest.mark.parametrize("name", ["csv", "parquet", "nem12", "espi"])
def test_what_leaves_comes_in_again(server: Server, owner: str, operator: str, name: str) -> None:
    imported(server, owner, CSV, meter=METER)
    with client_of(server.url, owner) as client:
        file = client.get(f"/exports/{name}", params={"meter": METER})
    assert file.status_code == 200
    assert "readings." in file.headers["content-disposition"]
    with client_of(server.url, operator) as client:
        back = client.post("/imports", content=file.content).json()
    assert (back["status"], back["readings"]) == ("stored", 144)
    assert (back["new_days"], back["differing"]) == (0, 0)


def test_a_household_gets_all_its_own_and_nothing_else(
    server: Server, owner: str, operator: str
) -> None:
    imported(server, operator, CSV, meter=518)
    imported(server, owner, CSV, meter=METER)
    with client_of(server.url, owner) as client:
        archive = zipfile.ZipFile(io.BytesIO(client.get("/exports/zip").content))
        foreign = client.get("/exports/csv", params={"meter": 518})
        unknown = client.get("/exports/csv", params={"meter": 999_999_998})
    rows = archive.read("readings.csv").decode().splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {str(METER)}
    assert b"UsagePoint/515" in archive.read("readings.xml")
    assert (foreign.status_code, foreign.json()["detail"]) == (404, "no such meter")
    assert foreign.json() == unknown.json()


@pytest.mark.parametrize(
    ("query", "status", "problem"),
    [
        ({"meter": 999_999_998}, 404, "no such meter"),
        ({"user": 999_999_998}, 404, "no such user"),
        ({"region": "Nowhere"}, 404, "no such meter"),
        ({"from": "2024-06-02", "to": "2024-06-02"}, 400, "to must be after from"),
    ],
)
def test_an_export_of_nothing_that_is_there_is_an_error(
    server: Server, operator: str, query: dict[str, str | int], status: int, problem: str
) -> None:
    with client_of(server.url, operator) as client:
        answer = client.get("/exports/espi", params=query)
        assert client.get("/exports/csv", params={"from": "2100-01-01"}).status_code == 200
    assert (answer.status_code, answer.json()["detail"]) == (status, problem)


def octopus(server: Server, token: str, **query: Any) -> dict[str, Any]:
    basic = base64.b64encode(f"{token}:".encode()).decode()
    answer = httpx.get(
        f"{server.url}/v1/electricity-meter-points/{METER}/meters/any/consumption/",
        params=query,
        headers={"Authorization": f"Basic {basic}"},
        follow_redirects=True,
    )
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def test_octopus_clients_page_through_consumption(server: Server, owner: str) -> None:
    imported(server, owner, CSV, meter=METER)
    newest = octopus(server, owner, page_size=50)
    assert (newest["count"], len(newest["results"]), newest["previous"]) == (144, 50, None)
    assert newest["results"][0] == {
        "consumption": 0.047,
        "interval_start": "2024-06-03T23:30:00+00:00",
        "interval_end": "2024-06-04T00:00:00+00:00",
    }
    rest = httpx.get(newest["next"], headers={"Authorization": f"Token {owner}"}).json()
    assert rest["results"][0]["interval_start"] == "2024-06-02T22:30:00+00:00"
    days = octopus(server, owner, group_by="day", order_by="period")
    assert [day["consumption"] for day in days["results"]] == [DAY_KWH] * 3
    some = octopus(
        server, owner, period_from="2024-06-02T00:00:00Z", period_to="2024-06-02T01:00:00Z"
    )
    assert some["count"] == 2
    minutes = {"period_from": "2024-06-02T00:00Z", "period_to": "2024-06-02T01:00+00:00"}
    assert octopus(server, owner, **minutes) == some
    assert octopus(server, owner, period_to="1970-01-01")["count"] == 0
    assert octopus(server, owner, period_from="2024-06-03")["count"] == 48
    path = f"/v1/electricity-meter-points/{METER}/meters/any/consumption/"
    with client_of(server.url, owner) as client:
        for wrong in ("yesterday", "2024-06-02T25:00Z"):
            assert client.get(path, params={"period_from": wrong}).status_code == 400, wrong
    for grouping, count in (("hour", 72), ("week", 2), ("month", 1), ("quarter", 1)):
        assert octopus(server, owner, group_by=grouping)["count"] == count


def test_basic_credentials_open_nothing_else(server: Server, owner: str) -> None:
    basic = base64.b64encode(f"{owner}:".encode()).decode()
    answer = httpx.get(f"{server.url}/imports", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/files", "/imports"])
def test_a_form_without_end_is_refused_and_not_gathered(tmp_path: Path, path: str) -> None:
    with running_server(tmp_path, settings={"upload_bytes_max": "2000"}) as small:
        database = Database(f"sqlite:///{tmp_path / 'meterbook.sqlite'}")
        token = signed_in(database, "anna")[1]
        database.close()
        field = b'--xx\r\nContent-Disposition: form-data; name="meter"\r\n\r\n'
        pieces = itertools.chain([field], itertools.repeat(b"1" * (1 << 20), 16))
        headers = {
            "Authorization": f"Token {token}",
            "Content-Type": "multipart/form-data; boundary=xx",
        }
        answer = httpx.post(small.url + path, headers=headers, content=pieces)
        assert answer.status_code == 413
