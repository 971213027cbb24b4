"""`POST /meter` and `POST /readings` of a really started server, on both engines."""

import contextlib
import gzip
import io
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest
import sqlalchemy as sa
import zstandard

from meterbook.domain.readings import Quality
from meterbook.registry.meters import set_meter_key
from meterbook.registry.tokens import new_secret, secret_hash
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, installations, superseded_readings
from servers import Server, running_server

SEED = {"id": 999999999, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a started server."""
    folder = tmp_path_factory.mktemp("server")
    settings = {"upload_bytes_max": "2000000"}
    with running_server(folder, database_url=module_database_url, settings=settings) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Give an HTTP client for it."""
    with httpx.Client(base_url=server.url, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def book(module_database_url: str, server: Server) -> Iterator[Database]:
    """Give the server's database."""
    opened = Database(module_database_url)
    yield opened
    opened.close()


def amounts(book: Database, meter_id: int) -> dict[int, int]:
    with book.reading() as connection:
        rows = connection.execute(
            sa.select(daybook.c.starts_at, daybook.c.amount)
            .join(installations, installations.c.channel_id == daybook.c.channel_id)
            .where(installations.c.meter_id == meter_id)
        )
        return {row[0]: row[1] for row in rows}


def test_the_seeds_packet_gets_the_contracts_answer(client: httpx.Client) -> None:
    answer = client.post("/meter", json=SEED)
    assert answer.status_code == 201
    assert answer.json() == {
        "id": 999999999,
        "starts_at": "2025-02-08T00:00:00Z",
        "ends_at": "2025-02-08T00:30:00Z",
        "reading_kWh": 5.5,
    }


def test_the_same_packet_again_is_a_success_and_stored_once(
    client: httpx.Client, book: Database
) -> None:
    packet = SEED | {"id": "000-000-011"}
    assert [client.post("/meter", json=packet).status_code for _ in range(3)] == [201] * 3
    assert amounts(book, 11) == {1738972800: 5500}


def test_a_different_value_counts_and_the_old_one_is_kept(
    client: httpx.Client, book: Database
) -> None:
    for reading_kwh in (1.0, 2.0):
        packet = SEED | {"id": 12, "reading_kWh": reading_kwh}
        assert client.post("/meter", json=packet).status_code == 201
    assert amounts(book, 12) == {1738972800: 2000}
    with book.reading() as connection:
        kept = connection.execute(
            sa.select(superseded_readings.c.amount)
            .join(
                installations,
                installations.c.channel_id == superseded_readings.c.channel_id,
            )
            .where(installations.c.meter_id == 12)
        )
        assert list(kept.scalars()) == [1000]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"id": 0}, {"id"}),
        ({"id": 1_000_000_000}, {"id"}),
        ({"id": True}, {"id"}),
        ({"id": None}, {"id"}),
        ({"id": 1.5}, {"id"}),
        ({"timestamp": "2025-02-08T00:31:00"}, {"timestamp"}),
        ({"timestamp": "yesterday"}, {"timestamp"}),
        ({"timestamp": 1738974660}, {"timestamp"}),
        ({"timestamp": "1969-12-31T23:59:00Z"}, {"timestamp"}),
        ({"timestamp": "2999-01-01T00:01:00Z"}, {"timestamp"}),
        ({"reading_kWh": -0.001}, {"reading_kWh"}),
        ({"reading_kWh": 1000.001}, {"reading_kWh"}),
        ({"reading_kWh": "NaN"}, {"reading_kWh"}),
        ({"reading_kWh": "1" * 10_000}, {"reading_kWh"}),
        ({"reading_kWh": [1]}, {"reading_kWh"}),
        ({"id": "x", "timestamp": "x", "reading_kWh": "x"}, {"id", "timestamp", "reading_kWh"}),
    ],
)
def test_each_wrong_field_is_named(
    client: httpx.Client, change: dict[str, object], wrong: set[str]
) -> None:
    answer = client.post("/meter", json=SEED | change)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"].keys() == wrong


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-02-08T00:31Z",
        "2025-02-08 08:31:00+08:00",
        "20250208T003100Z",
        "2025-02-08T00:31:00.999999Z",
    ],
)
def test_every_iso_8601_stamp_with_a_zone_is_understood(
    client: httpx.Client, timestamp: str
) -> None:
    answer = client.post("/meter", json=SEED | {"id": 13, "timestamp": timestamp})
    assert (answer.status_code, answer.json()["starts_at"]) == (201, "2025-02-08T00:00:00Z")


def test_a_stamp_a_little_ahead_is_taken_and_more_than_five_minutes_is_not(
    client: httpx.Client,
) -> None:
    def post(ahead: timedelta) -> int:
        stamp = (datetime.now(UTC) + ahead).isoformat()
        return client.post("/meter", json=SEED | {"id": 14, "timestamp": stamp}).status_code

    assert post(timedelta(minutes=4)) == 201
    assert post(timedelta(minutes=6)) == 400


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 10_000, b'"x"'])
def test_what_is_no_json_object_is_a_400_that_says_so(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/meter", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {"body"}


def test_other_methods_types_and_sizes_have_their_status(client: httpx.Client) -> None:
    assert client.get("/meter").status_code == 405
    assert client.get("/meter").headers["allow"] == "POST"
    assert client.get("/readings").status_code == 405
    plain = client.post("/meter", content=b"{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 415
    json_type = {"content-type": "application/json"}
    assert client.post("/meter", content=b" " * 20_000, headers=json_type).status_code == 413
    unknown = client.post("/readings", content=b"x", headers={"content-type": "image/png"})
    assert unknown.status_code == 415
    coded = client.post("/readings", content=b"[]", headers=json_type | {"content-encoding": "br"})
    assert coded.status_code == 415


def test_a_key_writes_its_own_meter_only_and_such_a_meter_needs_it(
    client: httpx.Client, book: Database
) -> None:
    assert client.post("/meter", json=SEED | {"id": 21}).status_code == 201
    assert client.post("/meter", json=SEED | {"id": 22}).status_code == 201
    key = new_secret()
    with book.writing() as connection:
        set_meter_key(connection, meter_id=21, key_hash=secret_hash(key))
    later = SEED | {"timestamp": "2025-02-08T01:01:00Z"}
    mine = {"authorization": f"Bearer {key}"}

    assert client.post("/meter", json=later | {"id": 21}).status_code == 401
    assert client.post("/meter", json=later | {"id": 22}, headers=mine).status_code == 401
    assert client.post("/meter", json=later | {"id": 23}, headers=mine).status_code == 401
    refused = client.post("/meter", json=later | {"id": 21}, headers={"authorization": "Bearer x"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert client.post("/meter", json=later | {"id": 21}, headers=mine).status_code == 201
    assert sorted(amounts(book, 21)) == [1738972800, 1738974600]
    assert sorted(amounts(book, 22)) == [1738972800]
    assert amounts(book, 23) == {}


def test_behind_a_proxy_nobody_is_trusted_without_a_key(client: httpx.Client) -> None:
    answer = client.post("/meter", json=SEED, headers={"x-forwarded-for": "203.0.113.7"})
    assert answer.status_code == 401


ROWS = [SEED | {"id": 31, "timestamp": f"2025-02-0{day}T00:31:00Z"} for day in range(1, 6)]


def as_json(rows: list[dict[str, object]]) -> tuple[bytes, str]:
    return httpx.Request("POST", "http://x", json=rows).read(), "application/json"


def as_lines(rows: list[dict[str, object]]) -> tuple[bytes, str]:
    return pl.DataFrame(rows).write_ndjson().encode(), "application/x-ndjson"


def as_csv(rows: list[dict[str, object]]) -> tuple[bytes, str]:
    return pl.DataFrame(rows).write_csv().encode(), "text/csv; charset=utf-8"


def as_parquet(rows: list[dict[str, object]]) -> tuple[bytes, str]:
    out = io.BytesIO()
    pl.DataFrame(rows).with_columns(
        pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    ).write_parquet(out)
    return out.getvalue(), "application/vnd.apache.parquet"


@pytest.mark.parametrize("form", [as_json, as_lines, as_csv, as_parquet])
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_many_packets_in_every_form_and_coding(
    client: httpx.Client,
    book: Database,
    form: Callable[[list[dict[str, object]]], tuple[bytes, str]],
    coding: str,
) -> None:
    meter_id = 100 + zlib.crc32(f"{form.__name__} {coding}".encode()) % 100_000
    content, kind = form([row | {"id": meter_id} for row in ROWS])
    match coding:
        case "gzip":
            content = gzip.compress(content[:40]) + gzip.compress(content[40:])
        case "zstd":
            content = zstandard.compress(content)
    headers = {"content-type": kind, "content-encoding": coding}

    first = client.post("/readings", content=content, headers=headers)
    again = client.post("/readings", content=content, headers=headers)

    assert (first.status_code, first.json()["accepted"], first.json()["repeated"]) == (201, 5, 0)
    assert (again.status_code, again.json()["accepted"], again.json()["repeated"]) == (200, 0, 5)
    assert sorted(amounts(book, meter_id).values()) == [5500] * 5


def test_one_wrong_row_stores_nothing_unless_partial_is_asked_for(
    client: httpx.Client, book: Database
) -> None:
    rows = [row | {"id": 41} for row in ROWS]
    rows[2] = rows[2] | {"reading_kWh": -1}
    rows[4] = rows[4] | {"id": "nonsense", "timestamp": "never"}

    refused = client.post("/readings", json=rows)
    assert refused.status_code == 400
    assert refused.json()["rejected"] == 2
    assert [row["row"] for row in refused.json()["rejected_rows"]] == [3, 5]
    assert refused.json()["rejected_rows"][1]["errors"].keys() == {"id", "timestamp"}
    assert amounts(book, 41) == {}

    partial = client.post("/readings?partial=true", json=rows)
    assert (partial.status_code, partial.json()["accepted"], partial.json()["rejected"]) == (
        201,
        3,
        2,
    )
    assert len(amounts(book, 41)) == 3


def test_the_first_hundred_rejected_rows_are_named_and_all_are_counted(
    client: httpx.Client,
) -> None:
    rows = [SEED | {"reading_kWh": -1}] * 250
    for content, kind in (as_json(rows), as_csv(rows)):
        answer = client.post("/readings", content=content, headers={"content-type": kind})
        assert answer.json()["rejected"] == 250
        assert [row["row"] for row in answer.json()["rejected_rows"]] == list(range(1, 101))


def test_a_bomb_is_refused_before_it_unfolds(client: httpx.Client) -> None:
    for coding, bomb in (
        ("gzip", gzip.compress(b" " * 50_000_000)),
        ("zstd", zstandard.compress(b" " * 50_000_000)),
    ):
        headers = {"content-type": "application/json", "content-encoding": coding}
        answer = client.post("/readings", content=bomb, headers=headers)
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("content", "kind", "coding"),
    [
        (b"{", "application/json", "identity"),
        (b"not gzip", "application/json", "gzip"),
        (gzip.compress(b"[]")[:-5], "application/json", "gzip"),
        (b"not zstd", "application/json", "zstd"),
        (b"PAR1 nonsense PAR1", "application/vnd.apache.parquet", "identity"),
        (b"a,b\n1,2\n", "text/csv", "identity"),
        (b"", "text/csv", "identity"),
    ],
    ids=["json", "gzip", "half gzip", "zstd", "parquet", "csv", "empty"],
)
def test_a_broken_body_is_one_clear_400(
    client: httpx.Client, content: bytes, kind: str, coding: str
) -> None:
    headers = {"content-type": kind, "content-encoding": coding}
    answer = client.post("/readings", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_metrics_count_packets_by_outcome_and_commits(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for line in ('meterbook_packets_total{outcome="new"}', "meterbook_commit_seconds_count"):
        assert line in text


def test_what_cannot_be_stored_is_a_503_and_stored_once_the_database_is_back(
    client: httpx.Client, book: Database
) -> None:
    packet = SEED | {"id": 51}
    with book.writing() as connection:
        connection.execute(sa.text("ALTER TABLE daybook RENAME TO daybook_gone"))
    try:
        answers = [client.post("/meter", json=packet), client.post("/readings", json=[packet])]
    finally:
        with book.writing() as connection:
            connection.execute(sa.text("ALTER TABLE daybook_gone RENAME TO daybook"))
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [
        (503, "5"),
        (503, "5"),
    ]
    assert client.post("/meter", json=packet).status_code == 201
    assert amounts(book, 51) == {1738972800: 5500}


def test_slow_uploads_keep_nobody_waiting_and_too_many_bytes_are_asked_for_again(
    server: Server, client: httpx.Client
) -> None:
    held = 500_000  # larger than what is kept in memory; the limit of all is four times 2,000,000
    where = httpx.URL(server.url)
    head = b"POST /readings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    rows = [{"id": 2020, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}]
    with contextlib.ExitStack() as opened:
        lines = [
            opened.enter_context(socket.create_connection((where.host, where.port or 0)))
            for _ in range(15)
        ]
        for line in lines:
            line.sendall(head + b"content-length: 600000\r\n\r\n" + b" " * held)
        answer = client.post("/readings", json=rows, timeout=20)
        assert (answer.status_code, answer.json()["accepted"]) == (201, 1)

        # 7,500,000 bytes once the server has read them all: of another million half is too many.
        answers: list[httpx.Response] = []
        while not answers or answers[-1].status_code == 400:
            answers.append(client.post("/readings", content=b" " * 1_000_000, timeout=20))
        assert answers[-1].status_code == 503
        assert int(answers[-1].headers["retry-after"]) > 0

        last = lines[-1]
        last.sendall(json.dumps(rows).encode().ljust(100_000))
        assert b"200" in last.recv(4096).split(b"\r\n")[0]
    assert client.post("/readings", json=rows, timeout=20).status_code == 200


def test_rows_beside_an_edit_are_accepted_and_do_not_count(
    client: httpx.Client, book: Database
) -> None:
    rows = [{"id": 2021, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}]
    client.post("/readings", json=rows)
    with book.writing() as connection:
        connection.execute(
            sa.update(daybook)
            .values(amount=7, quality=int(Quality.EDITED))
            .where(
                daybook.c.channel_id.in_(
                    sa.select(installations.c.channel_id).where(installations.c.meter_id == 2021)
                )
            )
        )
    answer = client.post("/readings", json=rows)
    assert (answer.status_code, answer.json()["accepted"]) == (201, 1)
    assert list(amounts(book, 2021).values()) == [7]
