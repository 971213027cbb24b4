"""Operators edit readings, over HTTP."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from books import record_packets
from callers import client_of, signed_in
from meterbook.domain.local_days import utc_text
from meterbook.intake.packet_fields import Packet
from meterbook.queries.meter_places import meter_place
from meterbook.registry import audit
from meterbook.registry.accounts import Role
from meterbook.registry.meters import export_channels
from meterbook.storage.database import Database
from servers import Server

METER = 515151
YESTERDAY = int(time.time()) // 86_400 * 86_400 - 86_400
PATH = f"/admin/packet-meters/{METER}/readings"


@pytest.fixture(scope="module")
def operator(server: Server, book: Database) -> Iterator[httpx.Client]:
    """Give an operator's client; the meter sent two readings yesterday."""
    _, token = signed_in(book, "editor", role=Role.OPERATOR)
    record_packets(
        book, [Packet(METER, YESTERDAY + 1860, 999_000), Packet(METER, YESTERDAY + 3660, 500)]
    )
    with client_of(server.url, token) as client:
        yield client


def edit(start: int, energy_kwh: float | None) -> dict[str, Any]:
    return {"starts_at": utc_text(start), "kWh": energy_kwh}


def body(*edits: dict[str, Any]) -> dict[str, Any]:
    return {"reason": "a wire was loose", "readings": list(edits)}


def day(client: httpx.Client) -> list[dict[str, Any]]:
    asked = utc_text(YESTERDAY)[:10]
    readings: list[dict[str, Any]] = client.get(PATH, params={"day": asked}).json()["readings"]
    return readings


def test_an_edit_counts_in_every_view_until_it_is_withdrawn(operator: httpx.Client) -> None:
    answer = operator.patch(PATH, json=body(edit(YESTERDAY, 0.42), edit(YESTERDAY + 3600, 0.0015)))
    assert (answer.status_code, answer.json()) == (200, {"changed": 2})

    first, second, third = day(operator)[:3]
    assert (first["kWh"], first["quality"]) == (0.42, "edited")
    assert [(e["kWh"], e["quality"]) for e in first["earlier"]] == [(999.0, "raw")]
    assert (second["kWh"], second["quality"], second["earlier"]) == (0.5, "raw", [])
    assert (third["kWh"], third["quality"]) == (0.002, "edited")  # half-even, as at every door
    asked = {"period": "prev-day"}
    total = operator.get(f"/profile/{METER}/consumption", params=asked).json()["total_kWh"]
    assert total == 0.922
    [conflict] = [c for c in operator.get("/admin/conflicts").json() if c["meter_id"] == METER]
    assert (conflict["superseded"], conflict["counting"]) == (999_000, 420)
    assert conflict["day"] == utc_text(YESTERDAY)[:10]

    answer = operator.patch(PATH, json=body(edit(YESTERDAY, None), edit(YESTERDAY + 3600, None)))
    assert answer.json() == {"changed": 2}
    assert [row["kWh"] for row in day(operator)[:3]] == [999.0, 0.5, None]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (body(), "readings"),
        ({"readings": [edit(YESTERDAY, 1)]}, "reason"),
        (body(edit(YESTERDAY, 1)) | {"reason": ""}, "reason"),
        (body(edit(YESTERDAY, -1)), "readings"),
        (body(edit(YESTERDAY, 1_000_001)), "readings"),
        (body({"starts_at": "2025-01-01T00:00:00", "kWh": 1}), "readings"),
        (body({"starts_at": "yesterday", "kWh": 1}), "readings"),
        (body({"starts_at": utc_text(YESTERDAY)}), "kWh"),
        (body(edit(YESTERDAY + 60, 1)), "starts_at"),
        (body(edit(YESTERDAY + 30 * 86_400, 1)), "starts_at"),
        (body({"starts_at": "0001-01-01T00:00:00Z", "kWh": 1}), "starts_at"),
        (body({"starts_at": "9999-12-31T23:59:59.5+00:00", "kWh": 1}), "starts_at"),
        (body(edit(YESTERDAY + 1800, None)), "starts_at"),
        (body(edit(YESTERDAY, 1), edit(YESTERDAY, 2)), "readings"),
    ],
    ids=[
        "nothing", "no reason", "an empty reason", "negative", "too much", "no zone", "no time",
        "no energy", "off the grid", "the future", "long ago", "half a second", "not edited",
        "twice",
    ],
)  # fmt: skip
def test_a_wrong_edit_is_refused_whole_and_says_which_field(
    operator: httpx.Client, sent: dict[str, Any], field: str
) -> None:
    before = day(operator)
    if len(sent["readings"]) == 1:
        sent = sent | {"readings": [edit(YESTERDAY + 7200, 5), *sent["readings"]]}

    answer = operator.patch(PATH, json=sent)

    assert answer.status_code == 400, answer.text
    assert any(field in name for name in answer.json()["errors"]), answer.text
    assert day(operator) == before


def test_an_unknown_meter_or_one_that_exports_nothing_is_not_found(operator: httpx.Client) -> None:
    assert operator.get("/admin/packet-meters/515152/readings").status_code == 404
    assert operator.get(PATH, params={"flow": "export"}).status_code == 404
    sent = body(edit(YESTERDAY, 1))
    assert operator.patch(PATH, params={"flow": "export"}, json=sent).status_code == 404


def test_the_audit_log_tells_edits_of_what_is_fed_in_from_those_of_what_is_used(
    operator: httpx.Client, book: Database
) -> None:
    record_packets(book, [Packet(515_153, YESTERDAY + 1860, 1)])
    with book.writing() as connection:
        place = meter_place(connection, meter_id=515_153)
        assert place
        export_channels(connection, [place.meter_point_id])
    path = "/admin/packet-meters/515153/readings"

    sent = body(edit(YESTERDAY, 1))
    for flow in ("import", "export"):
        answer = operator.patch(path, params={"flow": flow}, json=sent)
        assert answer.json() == {"changed": 1}

    with book.reading() as connection:
        subjects = [entry.subject for entry in audit.entries(connection, limit=2)]
    assert subjects == [
        "packet-meters/515153/readings?flow=export",
        "packet-meters/515153/readings",
    ]
