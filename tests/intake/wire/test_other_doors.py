"""vzlogger's and ThingsBoard's requests against a started server."""

from typing import Any

import httpx
import pytest

from device_owners import Owner
from meterbook.api.wire_doors import WIRE_PATHS
from raw_http import exchanged

NOW_MS = 1_790_000_000_000
FOREIGN = "11111111-2222-3333-4444-555555555555"


def test_vzloggers_request_is_stored_under_the_label_of_its_uuid(owner: Owner) -> None:
    body = f"[[{NOW_MS}, 1234.5], [{NOW_MS + 1000}.7, 1235]]"
    with owner.client() as client:
        answer = client.post(f"/middleware.php/data/{owner.uuid}.json", content=body)
        assert (answer.status_code, answer.json()["rows"]) == (200, 2)
        again = client.post(f"/data/{owner.uuid.upper()}.json", content=body)
        assert again.status_code == 200
        one = f"/data/{owner.uuid}.json?operation=add&ts={NOW_MS + 5}&value=7"
        assert client.get(one).json()["rows"] == 1
    assert owner.samples("vzlogger", "my uuid")["value"][:3] == [
        (NOW_MS, 1234.5),
        (NOW_MS + 5, 7.0),
        (NOW_MS + 1000, 1235.0),
    ]


@pytest.mark.parametrize("expects", [False, True], ids=["at once", "when asked for"])
def test_vzloggers_request_byte_for_byte(owner: Owner, expects: bool) -> None:
    # 64 tuples at once, numbers with six digits; an older libcurl waits before 1,024 bytes or more.
    first = NOW_MS + 10_000 * (1 + expects)
    tuples = ",".join(f"[{first + 100 * i},{4711.25 + i:f}]" for i in range(64))
    head, body = exchanged(
        owner.server.url,
        f"""
        POST /middleware.php/data/{owner.uuid}.json HTTP/1.1
        Host: {{host}}
        Content-type: application/json
        Accept: application/json
        User-Agent: vzlogger/0.8.3 (libcurl/7.74.0 OpenSSL/1.1.1w zlib/1.2.11)
        """
        + ("Expect: 100-continue" if expects else ""),
        f"[{tuples}]".encode(),
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert b'"rows":64' in body.replace(b" ", b"")
    found = dict(owner.samples("vzlogger", "my uuid")["value"])
    assert [found[first + 100 * i] for i in range(64)] == [4711.25 + i for i in range(64)]


def test_an_unknown_uuid_is_kept_from_a_trusted_network_only(owner: Owner) -> None:
    path = f"/data/{FOREIGN}.json"
    with owner.client() as client:
        forwarded = {"X-Forwarded-For": "203.0.113.7"}
        refused = client.post(path, content=f"[[{NOW_MS},1]]", headers=forwarded)
        assert refused.status_code == 401
        assert refused.json()["exception"]["message"]
        assert owner.samples("vzlogger", FOREIGN) == {}
        assert client.post(path, content=f"[[{NOW_MS},1]]").status_code == 200
    assert owner.samples("vzlogger", FOREIGN) == {"value": [(NOW_MS, 1.0)]}


@pytest.mark.parametrize(
    "body",
    [
        "[[",
        "{}",
        "nonsense",
        "[[1]]",
        '[["x", 1]]',
        f"[[{NOW_MS * 2}, 1]]",
        "[[-1, 1]]",
        "[[1e400, 1]]",
    ],
    ids=[
        "cut",
        "object",
        "no numbers",
        "no amount",
        "word",
        "far ahead",
        "before 1970",
        "beyond a float",
    ],
)
def test_what_is_no_array_of_pairs_is_refused_whole(owner: Owner, body: str) -> None:
    with owner.client() as client:
        answer = client.post("/data/99999999-2222-3333-4444-555555555555.json", content=body)
    assert answer.status_code == 400
    assert answer.json()["exception"]["message"]


def test_a_thingsboard_device_sends_each_of_its_forms(owner: Owner) -> None:
    path = f"/api/v1/{owner.token20}/telemetry"
    assert len(owner.token20) == 20
    with owner.client() as client:
        for body in (
            f'{{"ts": {NOW_MS}, "values": {{"energy": 1.5, "text": "x", "on": true}}}}',
            f'[{{"ts": {NOW_MS + 1}, "values": {{"energy": 2, "gone": null}}}}]',
        ):
            answer = client.post(path, content=body)
            assert (answer.status_code, answer.content) == (200, b"")
        assert client.post(path, content='{"power": 7}').status_code == 200
    found = owner.samples("thingsboard", "my token20")
    assert found["energy"] == [(NOW_MS, 1.5), (NOW_MS + 1, 2.0)]
    assert found["on"] == [(NOW_MS, 1.0)]
    assert [number for _, number in found["power"]] == [7.0]
    assert "text" not in found


@pytest.mark.parametrize("body", ["[1]", "7", "{", '{"ts": "x", "values": {}}', '{"": 1}'])
def test_a_thingsboard_body_that_is_none_is_400(owner: Owner, body: str) -> None:
    with owner.client() as client:
        answer = client.post(f"/api/v1/{owner.token20}/telemetry", content=body)
        assert answer.status_code == 400, answer.text
        wrong = client.post("/api/v1/AAAAAAAAAAAAAAAAAAAA/telemetry", content='{"a": 1}')
        assert wrong.status_code == 401


OPERATIONS = [(path, method) for path, item in WIRE_PATHS.items() for method in item]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_example_of_the_schema_is_stored_and_answered_as_described(
    owner: Owner, path: str, method: str
) -> None:
    described = WIRE_PATHS[path][method]
    there = path.format(uuid=owner.uuid, token=owner.token20)
    with owner.client() as client:
        stored = asked(client, there, method, described, owner.hex32)
        assert stored.status_code in {200, 204}, stored.text
        assert_described(described, stored)
        wrong = asked(client, path.format(uuid="x", token="x" * 20), method, described, "0" * 32)
        assert wrong.status_code in {400, 401}
        assert_described(described, wrong)


def asked(client: httpx.Client, path: str, method: str, described: Any, key: str) -> httpx.Response:
    query = {
        one["name"]: one["schema"]["example"]
        for one in described["parameters"]
        if one["in"] == "query" and "example" in one["schema"]
    }
    ((media_type, body),) = described.get("requestBody", {"content": {"": {}}})["content"].items()
    given: dict[str, Any] = {}
    if media_type == "application/x-www-form-urlencoded":
        given = {"data": body["example"]}
    elif media_type == "application/json":
        given = {"json": body["example"]}
    elif media_type:
        given = {"content": body["example"]}
    headers = {"Authorization": f"Bearer {key}"}
    return client.request(method, path, params=query, headers=headers, **given)


def assert_described(described: Any, answer: httpx.Response) -> None:
    assert str(answer.status_code) in described["responses"]
    content = described["responses"][str(answer.status_code)].get("content")
    if content is not None:
        assert answer.headers["content-type"].partition(";")[0] in content
