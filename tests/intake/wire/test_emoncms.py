"""emoncms's input API against a started server: emonHub's and IoTaWatt's requests to the byte."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
import zlib
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pyemoncms import EmoncmsClient

from device_owners import Owner
from raw_http import exchanged

NOW = 1_790_000_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(owner: Owner, path: str, body: bytes | str = b"", **headers: str) -> httpx.Response:
    with owner.client() as client:
        return client.post(path, content=body, headers=FORM | headers)


def test_emonhubs_request_is_answered_ok_and_its_clock_corrected(owner: Owner) -> None:
    # The sender's clock is a day slow; `sentat` says so.
    slow = int(time.time()) - 86_400
    rows = [[slow - 10, "hub", 100, 200.5], [slow, "hub", 101, None, {"total": 7}]]
    body = f"apikey={owner.hex32}&data={json.dumps(rows)}&sentat={slow}"
    answer = post(owner, "/emoncms/input/bulk.json?", body)
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")
    found = owner.samples("emoncms", "hub")
    assert {name: [number for _, number in kept] for name, kept in found.items()} == {
        "1": [100.0, 101.0],
        "2": [200.5],
        "total": [7.0],
    }
    ages = [time.time() - at_ms / 1000 for at_ms, _ in found["1"]]
    assert 0 <= ages[1] < 60
    assert 9 <= ages[0] - ages[1] <= 11


def test_emonhubs_request_byte_for_byte(owner: Owner) -> None:
    # EmonHubEmoncmsHTTPInterfacer posts a dictionary with requests and wants 200 and `ok`.
    sent_at = int(time.time())
    frames = [
        [sent_at - 5.25, 10, 150, 250.5, {"rssi": -44}],
        [sent_at - 0.5, "emontx4", {"power1": 100}, {"energy1": 4711}],
    ]
    form = {
        "apikey": owner.hex32,
        "data": json.dumps(frames, separators=(",", ":")),
        "sentat": str(sent_at),
    }
    head, body = exchanged(
        owner.server.url,
        """
        POST /input/bulk.json HTTP/1.1
        Host: {host}
        User-Agent: python-requests/2.28.1
        Accept-Encoding: gzip, deflate
        Accept: */*
        Connection: keep-alive
        Content-Type: application/x-www-form-urlencoded
        """,
        urlencode(form).encode(),
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert body == b"ok"
    found = owner.samples("emoncms", "10")
    assert {name: kept[0][1] for name, kept in found.items()} == {
        "1": 150.0,
        "2": 250.5,
        "rssi": -44.0,
    }
    ((at_ms, number),) = owner.samples("emoncms", "emontx4")["energy1"]
    assert number == 4711
    assert abs(at_ms / 1000 - time.time()) < 60


def test_emonhubs_packed_request_is_the_same_request(owner: Owner) -> None:
    rows = json.dumps([[NOW, "packed", 1.5]])
    as_hex = zlib.compress(rows.encode()).hex()
    body = f"apikey={owner.hex32}&c=1&data={as_hex}&time=0"
    assert post(owner, "/input/bulk", body).text == "ok"
    query = f"/input/bulk?apikey={owner.hex32}&cb=1&time=0"
    assert post(owner, query, zlib.compress(rows.encode())).text == "ok"
    assert owner.samples("emoncms", "packed") == {"1": [(NOW * 1000, 1.5)]}


def test_iotawatts_body_is_not_percent_encoded(owner: Owner) -> None:
    body = f'time={NOW}&data=[[0,"iota",230.1,null,5],[10,"iota",231,-4,6]]'
    answer = post(owner, "/input/bulk", body, Authorization=f"Bearer {owner.hex32}")
    assert answer.text == "ok"
    assert owner.samples("emoncms", "iota") == {
        "1": [(NOW * 1000, 230.1), ((NOW + 10) * 1000, 231.0)],
        "2": [((NOW + 10) * 1000, -4.0)],
        "3": [(NOW * 1000, 5.0), ((NOW + 10) * 1000, 6.0)],
    }


def test_iotawatt_learns_where_it_left_off(owner: Owner) -> None:
    post(owner, "/input/bulk", f'apikey={owner.hex32}&time={NOW}&data=[[0,"left",1,2]]')
    with owner.client() as client:
        answer = client.get(f"/input/get?node=left&apikey={owner.hex32}")
        assert answer.text.startswith(f'{{"1":{{"time":{NOW},"value":1')
        unknown = client.get(f"/input/get.json?node=nobody&apikey={owner.hex32}")
        assert (unknown.status_code, unknown.text) == (200, '"Node does not exist"')
        every = client.get("/emoncms/input/get", headers={"Authorization": f"Bearer {owner.hex32}"})
        assert every.json()["left"]["2"]["value"] == 2


def sealed(plain: bytes, key: str, *, url_safe: bool) -> tuple[bytes, str]:
    padder = PKCS7(128).padder()
    initial = os.urandom(16)
    cipher = Cipher(algorithms.AES128(bytes.fromhex(key)), modes.CBC(initial)).encryptor()
    body = initial + cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    signature = hmac.new(bytes.fromhex(key), plain, hashlib.sha256).hexdigest()
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return (encode(body).rstrip(b"=") if url_safe else encode(body)), signature


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("url_safe", [False, True], ids=["standard", "URL-safe"])
def test_what_a_device_encrypted_is_read_and_its_receipt_given(
    owner: Owner, packed: bool, url_safe: bool
) -> None:
    node = f"aes{packed:d}{url_safe:d}"
    plain = f'time={NOW}&data=[[0,"{node}",1.25]]'.encode()
    plain = zlib.compress(plain) if packed else plain
    body, signature = sealed(plain, owner.hex32, url_safe=url_safe)
    headers = {
        "Content-Type": "aes128cbcgz" if packed else "aes128cbc",
        "Authorization": f"{owner.user}:{signature}",
    }
    answer = post(owner, "/input/bulk", body, **headers)
    assert answer.content == base64.urlsafe_b64encode(hashlib.sha256(plain).digest())
    assert owner.samples("emoncms", node) == {"1": [(NOW * 1000, 1.25)]}


def test_what_another_key_encrypted_is_refused(owner: Owner) -> None:
    body, signature = sealed(b"data=[[0,1,1]]", "0" * 32, url_safe=False)
    headers = {"Content-Type": "aes128cbc", "Authorization": f"{owner.user}:{signature}"}
    assert post(owner, "/input/bulk", body, **headers).status_code == 401
    assert post(owner, "/input/bulk", b"A" * 70_000, **headers).status_code == 413
    for broken in (b"", b"%%%", b"QUJD", body[:-8]):
        answer = post(owner, "/input/bulk", broken, **headers)
        assert answer.status_code in {200, 401}
        assert answer.text != "ok"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"json": "{power1:100,power2:200.5}"}, {"power1": 100.0, "power2": 200.5}),
        ({"json": '{"power1":-1,"text":abc}'}, {"power1": -1.0}),
        ({"csv": "100,,300"}, {"1": 100.0, "3": 300.0}),
        ({"data": "a:1,b:nan,c:inf,d:1e400,e:9e99"}, {"a": 1.0}),
        (
            {"fulljson": '{"a":1.5,"b":null,"c":"7","d":{},"a/<b>":2}'},
            {"a": 1.5, "ab": 2.0, "c": 7},
        ),
    ],
    ids=["lenient", "quoted", "csv", "no numbers", "strict"],
)
def test_each_form_of_post_is_read(
    owner: Owner, fields: dict[str, str], kept: dict[str, float]
) -> None:
    node = f"post {hashlib.sha256(str(fields).encode()).hexdigest()[:8]}"
    with owner.client() as client:
        query = {"node": node, "time": str(NOW), "apikey": owner.hex32}
        answer = client.get("/input/post.json", params=query | fields)
    assert answer.text == ('{"success": true}' if "fulljson" in fields else "ok")
    found = owner.samples("emoncms", node)
    assert found == {name: [(NOW * 1000, number)] for name, number in kept.items()}


def test_the_node_may_stand_in_the_path_and_the_time_in_the_json(owner: Owner) -> None:
    body = {"fulljson": json.dumps({"power": 5, "time": NOW}), "devicekey": owner.hex32}
    with owner.client() as client:
        assert client.post("/input/post/in-path", data=body).json() == {"success": True}
    assert owner.samples("emoncms", "in-path") == {"power": [(NOW * 1000, 5.0)]}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("post", "node=bad", "Request contains no data via csv, json or data tag"),
        ("post", "node=bad&fulljson=[1]", "Format error, json string supplied is not valid"),
        (
            "post",
            "node=bad&csv=1&time=99999999999",
            "the time is more than 5 minutes in the future",
        ),
        ("post", "node=bad&csv=1&time=-5", "before 1970"),
        ("post", f"node=bad&json={{{'x' * 200}:1}}", "the name of the input has more than"),
        ("bulk", "data=[[0,", "Format error, json string supplied is not valid"),
        ("bulk", 'data=[[0,"bad",1],["x","bad",2]]&sentat=0', "Format error"),
        ("bulk", 'data=[[0,"bad",1],[0,{},2]]', "Format error"),
        ("bulk", "data=[]", "does not contain any data"),
        ("bulk", 'data=[[0,"bad",1],[100000000,"bad",2]]&sentat=0', "in the future"),
        ("bulk", "c=1&data=zz", "Format error"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_it_is_kept(
    owner: Owner, path: str, body: str, message: str
) -> None:
    answer = post(owner, f"/input/{path}?apikey={owner.hex32}", body)
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert message in answer.json()["message"]
    assert owner.samples("emoncms", "bad") == {}


def test_a_day_of_ten_second_rows_is_one_request(owner: Owner) -> None:
    rows = [[10 * i, "day", i, i / 4] for i in range(8640)]
    body = f"apikey={owner.hex32}&time={NOW - 86_400}&data={json.dumps(rows)}"
    assert post(owner, "/input/bulk", body).text == "ok"
    found = owner.samples("emoncms", "day")
    assert [len(found["1"]), found["2"][-1][1]] == [8640, 8639 / 4]


def test_a_wrong_key_is_told_so_in_emoncmss_words(owner: Owner) -> None:
    answer = post(owner, f"/input/post?apikey={'0' * 32}&csv=1")
    assert (answer.status_code, answer.text) == (401, "Invalid API key")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="API KEY"')


def test_a_revoked_key_is_dead_at_once(owner: Owner) -> None:
    with owner.api() as api:
        key = api.post("/user/device-keys", json={"label": "to revoke"}).json()
        assert len(key["key"]) == 32
        assert post(owner, f"/input/post?apikey={key['key']}&csv=1").text == "ok"
        assert api.delete(f"/user/device-keys/{key['id']}").status_code == 204
        listed = api.get("/user/device-keys").json()
    assert key["id"] not in [known["id"] for known in listed]
    assert "key" not in listed[0]
    assert post(owner, f"/input/post?apikey={key['key']}&csv=1").status_code == 401


def test_what_clients_probe_is_there(owner: Owner) -> None:
    with owner.client() as client:
        assert client.get("/describe").text == "emoncms"
        assert client.get("/emoncms/version.json").status_code == 200
        assert client.get("/time/local").text.startswith("t1")
        assert client.get("/emoncms/feed/list").status_code == 404


def test_pyemoncms_writes(owner: Owner) -> None:
    async def write() -> bool:
        async with EmoncmsClient(owner.server.url, owner.hex32) as client:
            return bool(await client.async_input_post({"power": 42.5}, node="py", time=NOW))

    assert asyncio.run(write())
    assert owner.samples("emoncms", "py") == {"power": [(NOW * 1000, 42.5)]}
