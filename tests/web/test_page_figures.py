"""What a page says is what the JSON says, for random readings, on clock-change days too."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import record_packets
from callers import client_of, signed_in
from meterbook.day_close import close_day
from meterbook.daybook import record_readings
from meterbook.domain.local_days import day_bounds, midnight
from meterbook.domain.readings import Counting, Flow, Reading
from meterbook.intake.packet_fields import Packet
from meterbook.queries.meter_places import meter_place
from meterbook.registry.accounts import Role
from meterbook.registry.meters import ACTIVE_ENERGY
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, daybook, ledger
from servers import running_server

ZONE = ZoneInfo("Europe/London")
METER = 999_999_999
NOW = 1_790_000_000
CHANGES = [date(2025, 3, 30), date(2025, 10, 26), date(2025, 6, 1)]
VIEWS = [  # first day and end day around the changed one, and the bars
    (-1, 2, "half-hour"),
    (0, 1, "half-hour"),
    (0, 1, "hour"),
    (-3, 4, "day"),
    (-20, 20, "week"),
    (-200, 160, "month"),
]
Book = tuple[Database, httpx.Client]


@pytest.fixture(scope="module")
def book(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """Give a book and an operator's client of the server that serves it."""
    folder = tmp_path_factory.mktemp("figures")
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    url = f"sqlite:///{folder / 'meterbook.sqlite'}"
    database = Database(url)
    record_packets(database, [Packet(METER, NOW, 1)], zone=ZONE.key)
    _, token = signed_in(database, "operator", role=Role.OPERATOR)
    with (
        running_server(folder / "data", database_url=url) as server,
        client_of(server.url, token) as client,
    ):
        yield database, client
    database.close()


amounts = st.none() | st.integers(0, 3_000)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(CHANGES), st.data())
def test_page_json_csv_table_and_charts_agree(book: Book, changed: date, data: Any) -> None:
    database, client = book
    days = [changed + timedelta(days=offset) for offset in (-30, -1, 0, 1)]
    begins_at = [day_bounds(day, ZONE) for day in days]
    known = {}
    for begin, end in begins_at:
        for start in range(begin, end, 1800):
            if (amount := data.draw(amounts)) is not None:
                known[start] = amount
    _fill(database, known, closed=data.draw(st.sets(st.sampled_from(days))))
    for first_offset, end_offset, resolution in VIEWS:
        first, until = (changed + timedelta(days=n) for n in (first_offset, end_offset))
        bounds = midnight(first, ZONE), midnight(until, ZONE)
        total_wh = sum(amount for at, amount in known.items() if bounds[0] <= at < bounds[1])
        _must_agree(client, f"from={first}&to={until}&resolution={resolution}", total_wh)


def _must_agree(
    client: httpx.Client,
    query: str,
    total_wh: int,
    *,
    colours: AbstractSet[str] = frozenset({"@import", "@estimated-wash"}),
) -> None:
    address = f"/profile/{METER}/consumption?{query}"
    answer = client.get(address, headers={"Accept": "application/json"}).json()
    page = client.get(address, headers={"Accept": "text/html"}).text
    figures = client.get(f"/profile/{METER}/consumption/figures?{query.rpartition('&')[0]}").json()

    assert round(answer["total_kWh"] * 1000) == total_wh
    assert _total_wh(page) == total_wh
    assert sum(_table_wh(page, "energy")) == total_wh
    assert _wh(point["kWh"] for point in answer["points"]) == total_wh
    rows = list(csv.DictReader(io.StringIO(client.get(f"{address}&format=csv").text)))
    assert [row["starts_at"] for row in rows] == [one["starts_at"] for one in answer["points"]]
    assert _wh(float(row["kWh"]) for row in rows if row["kWh"]) == total_wh
    assert figures["missing_intervals"] == answer["missing_intervals"]
    assert client.get(f"{address}&format=json").json() == answer
    assert _wh(_bars(page, colours)) == total_wh
    if "rhythm-figure" in page:
        [known] = [trace for trace in _figure(page, "rhythm")["data"] if "zmin" in trace]
        assert _wh(kwh for row in known["z"] for kwh in row) == total_wh


def _bars(page: str, colours: AbstractSet[str]) -> list[float | None]:
    traces = _figure(page, "energy")["data"]
    return [
        kwh for trace in traces if trace["marker"].get("color") in colours for kwh in trace["y"]
    ]


def _figure(page: str, name: str) -> Any:
    found = re.search(rf'id="{name}-figure">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def _total_wh(page: str) -> int:
    found = re.search(r'class="figure total">([\d,.]+)<', page)
    assert found
    return round(float(found[1].replace(",", "")) * 1000)


def _table_wh(page: str, name: str) -> list[int]:
    table = page.split(f'id="{name}-figure"')[1].split("</table>", maxsplit=1)[0]
    cells = re.findall(r'</th><td class="number">([\d,.]+)</td>', table)
    return [round(float(cell.replace(",", "")) * 1000) for cell in cells]


def _wh(energies_kwh: Any) -> int:
    return sum(round(kwh * 1000) for kwh in energies_kwh if kwh is not None)


def _fill(database: Database, known: dict[int, int], *, closed: set[date]) -> None:
    with database.writing() as connection:
        for table in (daybook, ledger):
            connection.execute(table.delete())
        assert connection.execute(channels.select()).first()
    record_packets(
        database, [Packet(METER, start + 1860, amount) for start, amount in known.items()]
    )
    for day in closed:
        close_day(database, day=day, zone=ZONE, now=NOW)


def test_a_file_is_of_numbers_times_and_words_only(book: Book) -> None:
    _, client = book
    answer = client.get(
        f"/profile/{METER}/consumption?period=current-year&format=csv",
        headers={"Accept-Language": "pl"},
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('-current-year-month.csv"')
    lines = answer.text.splitlines()
    assert lines[0] == "starts_at,kWh,quality,estimated_kWh,missing_intervals"
    for line in lines[1:]:
        assert re.fullmatch(r"[\dT:+-]{25},(\d+\.\d{3})?,[a-z-]*,\d+\.\d{3},\d+", line)
        assert not any(field.startswith(("=", "+", "-", "@")) for field in line.split(","))


def test_what_a_meter_exports_is_a_view_of_its_own(book: Book) -> None:
    database, client = book
    day = date(2025, 6, 1)
    with database.writing() as connection:
        place = meter_place(connection, meter_id=METER)
        assert place is not None
        channel_id = connection.execute(
            sa.insert(channels)
            .values(
                meter_point_id=place.meter_point_id, measurement=ACTIVE_ENERGY,
                flow=int(Flow.EXPORT), counting=int(Counting.INTERVAL), unit="Wh",
                interval_s=1800, zone=place.zone,
            )
            .returning(channels.c.id)
        ).scalar_one()  # fmt: skip
        exported = [
            Reading(channel_id, midnight(day, ZONE) + 1800 * slot, 10 * slot) for slot in range(48)
        ]
        record_readings(connection, exported, received_at_ms=NOW * 1000)
    query = "from=2025-06-01&to=2025-06-02&flow=export"
    _must_agree(client, f"{query}&resolution=half-hour", 11_280, colours={"@export"})
    page = client.get(f"/profile/{METER}/consumption?{query}", headers={"Accept": "text/html"}).text
    assert "<h1>Production</h1>" in page
    assert 'href="?from=2025-06-01&amp;to=2025-06-02"' in page
    with database.writing() as connection:
        connection.execute(daybook.delete().where(daybook.c.channel_id == channel_id))
        connection.execute(channels.delete().where(channels.c.id == channel_id))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("period=current-decade", 400),
        ("from=2025-02-01", 400),
        ("from=2025-02-02&to=2025-02-01", 400),
        ("resolution=second", 400),
        ("format=xml", 400),
        ("from=2000-01-01&to=2022-10-26&resolution=half-hour", 400),
        ("from=1990-01-01&to=2089-12-31&resolution=day", 200),
        ("flow=export", 404),
        ("from=2025-01-01&last=2025-01-31", 303),
    ],
)
def test_what_cannot_be_shown_is_said(book: Book, query: str, status: int) -> None:
    _, client = book
    answer = client.get(f"/profile/{METER}/consumption?{query}", headers={"Accept": "text/html"})
    assert answer.status_code == status
    if status == 303:
        assert answer.headers["location"].endswith("?from=2025-01-01&to=2025-02-01")
    elif query == "period=current-decade":
        assert "prev-month" in answer.text
    elif "half-hour" in query and status == 400:
        assert "more than 400000 points" in answer.text
