"""InfluxDB's write API against a started server, by the packages people use."""

import gzip
from collections.abc import Iterator
from typing import Any

import httpx
import influxdb
import influxdb_client
import pytest
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions
from influxdb_client.rest import ApiException

from books import record_packets
from callers import signed_in
from device_owners import Owner
from meterbook.domain.meter_ids import dashed
from meterbook.intake.packet_fields import Packet
from meterbook.registry.accounts import Role
from meterbook.registry.meter_points import claim_meter

NOW = 1_790_000_000
NOW_MS = NOW * 1000
DAY = 1_767_225_600  # 2026-01-01T00:00Z
METER = 141_421_356
EVERYTHING = 'SELECT "kWh" FROM energy WHERE '


def write(owner: Owner, lines: str | bytes, query: str = "db=d&precision=s") -> httpx.Response:
    with owner.client() as client:
        headers = {"Authorization": f"Token {owner.hex32}"}
        return client.post(f"/write?{query}", content=lines, headers=headers)


def test_the_influxdb_package_writes(owner: Owner) -> None:
    client = influxdb.InfluxDBClient(
        "127.0.0.1", int(owner.server.url.rpartition(":")[2]), "anybody", owner.hex32, "home"
    )
    assert client.ping() == "1.8.10"
    client.create_database("home")
    assert {"name": "meterbook"} in client.get_list_database()
    points: list[dict[str, Any]] = [
        {
            "measurement": "power meter",
            "tags": {"room": "a,b c=d"},
            "time": (NOW + i) * 1_000_000_000,
            "fields": {"watts": 1.5 * i, "pulses": i, "on": True, "note": 'a "quoted", text'},
        }
        for i in range(3)
    ]
    assert client.write_points(points)
    assert client.write_points(points)
    found = owner.samples("influxdb", "home: power meter,room=a,b c=d")
    assert found == {
        "on": [(NOW_MS + 1000 * i, 1.0) for i in range(3)],
        "pulses": [(NOW_MS + 1000 * i, float(i)) for i in range(3)],
        "watts": [(NOW_MS + 1000 * i, 1.5 * i) for i in range(3)],
    }
    wrong = influxdb.InfluxDBClient(
        "127.0.0.1", int(owner.server.url.rpartition(":")[2]), "anybody", "wrong", "home"
    )
    with pytest.raises(influxdb.exceptions.InfluxDBClientError) as refused:
        wrong.write_points(points)
    assert refused.value.code == 401
    client.close()
    wrong.close()


def test_the_influxdb_client_package_writes(owner: Owner) -> None:
    with influxdb_client.InfluxDBClient(
        owner.server.url, owner.hex32, org="any", enable_gzip=True
    ) as client:
        assert client.ping()
        assert client.version() == "1.8.10"
        with pytest.deprecated_call():
            assert client.health().status == "pass"
        writer = client.write_api(write_options=SYNCHRONOUS)
        point = influxdb_client.Point("solar").tag("host", "roof").field("kWh", 12.5)
        writer.write("bucket", record=point.time(NOW, influxdb_client.WritePrecision.S))
        writer.write("bucket", record=[f"solar,host=roof kWh=12.75 {NOW + 60}000000000"])
        with pytest.raises(ApiException) as refused:
            writer.write("bucket", record=["solar kWh=1", "solar kWh="])
    assert refused.value.status == 400
    assert '"line":2' in str(refused.value.body)
    found = owner.samples("influxdb", "bucket: solar,host=roof")
    assert found == {"kWh": [(NOW_MS, 12.5), (NOW_MS + 60_000, 12.75)]}
    assert owner.samples("influxdb", "bucket: solar") == {}


def test_the_influxdb_client_package_writes_in_batches_of_its_own(owner: Owner) -> None:
    with (
        influxdb_client.InfluxDBClient(owner.server.url, owner.hex32, org="any") as client,
        client.write_api(write_options=WriteOptions(batch_size=50)) as writer,
    ):
        for i in range(120):
            writer.write("batches", record=f"solar kWh={i} {NOW + i}000000000")
    found = owner.samples("influxdb", "batches: solar")
    assert found == {"kWh": [(NOW_MS + 1000 * i, float(i)) for i in range(120)]}


def test_telegrafs_second_version_sends_packed_batches_without_a_length(owner: Owner) -> None:
    lines = "".join(
        f'modbus,host=cellar,name=heat\\ pump energy={i}.5,state="on" {NOW + i}000000000\n'
        for i in range(1_000)
    )
    packed = gzip.compress(lines.encode())

    def parts() -> Iterator[bytes]:
        for begin in range(0, len(packed), 1_000):
            yield packed[begin : begin + 1_000]

    with owner.client() as client:
        answer = client.post(
            "/api/v2/write?bucket=telegraf&org=any",
            content=parts(),
            headers={
                "Authorization": f"Token {owner.hex32}",
                "Content-Encoding": "gzip",
                "Content-Type": "text/plain; charset=utf-8",
                "User-Agent": "Telegraf/1.29.0 Go/1.21.5",
            },
        )
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.content) == (204, b"")
    found = owner.samples("influxdb", "telegraf: modbus,host=cellar,name=heat pump")
    assert found["energy"] == [(NOW_MS + 1000 * i, i + 0.5) for i in range(1_000)]


def test_telegrafs_batches_are_taken(owner: Owner) -> None:
    lines = [
        f"cpu,cpu=cpu{i % 4},host=server\\ one usage_idle={i / 7},n={i}i,up=t {NOW}{i:09d}"
        for i in range(5_000)
    ]
    with owner.client() as client:
        assert client.post("/query?q=CREATE+DATABASE+%22telegraf%22&p=" + owner.hex32).json() == {
            "results": [{"statement_id": 0}]
        }
        answer = client.post(
            f"/write?consistency=any&db=telegraf&u=me&p={owner.hex32}",
            content=gzip.compress(("\n".join(lines) + "\n").encode()),
            headers={"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"},
        )
    assert (answer.status_code, answer.content) == (204, b"")
    # All stamps fall into one millisecond: the last of each series counts, as in InfluxDB.
    found = owner.samples("influxdb", "telegraf: cpu,cpu=cpu3,host=server one")
    assert found["n"] == [(NOW_MS, 4999.0)]


def test_tags_in_another_order_are_the_same_series(owner: Owner) -> None:
    assert write(owner, f"m,b=2,a=1 v=1 {NOW}\nm,a=1,b=2 v=2 {NOW + 1}").status_code == 204
    found = owner.samples("influxdb", "d: m,a=1,b=2")
    assert found == {"v": [(NOW_MS, 1.0), (NOW_MS + 1000, 2.0)]}


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [
        ("", NOW * 10**9),
        ("n", NOW * 10**9),
        ("us", NOW * 10**6),
        ("u", NOW * 10**6),
        ("ms", NOW_MS),
        ("s", NOW),
        ("m", NOW // 60),
        ("h", NOW // 3600),
    ],
)
def test_every_precision_means_the_same_instant(owner: Owner, precision: str, stamp: int) -> None:
    query = f"db=p{precision}" + (f"&precision={precision}" if precision else "")
    assert write(owner, f"m v=1 {stamp}", query).status_code == 204
    ((at_ms, _),) = owner.samples("influxdb", f"p{precision}: m")["v"]
    length_ms = {"m": 60_000, "h": 3_600_000}.get(precision, 1)
    assert at_ms == NOW_MS - NOW_MS % length_ms


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m", "missing fields"),
        ("m ", "missing fields"),
        ("m v", "missing field value"),
        ("m v=", "missing field value"),
        ("m =1", "missing field key"),
        ("m v=1,", "missing field"),
        ("m v=abc", "invalid number"),
        ("m v=nan", "invalid number"),
        ("m v=Inf", "invalid number"),
        ("m v=1_000", "invalid number"),
        ("m v=truth", "invalid boolean"),
        ("m v=9223372036854775808i", "value out of range"),
        ("m v=-1u", "value out of range"),
        ('m v="open', "unbalanced quotes"),
        (",a=1 v=1", "missing measurement"),
        ("m,a= v=1", "missing tag value"),
        ("m,=b v=1", "missing tag key"),
        ("m,a=1,a=2 v=1", "duplicate tags"),
        ("m v=1 now", "bad timestamp"),
        ("m v=1 1 1", "bad timestamp"),
        ("m v=1 -5", "before 1970"),
        ("m v=1 99999999999", "5 minutes in the future"),
        (f"m {'x' * 129}=1", "more than 128 characters"),
        ("m\x00n v=1", "cannot be shown"),
        (b"m v=1\xff", "not UTF-8"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_of_the_body_kept(
    owner: Owner, line: str | bytes, reason: str
) -> None:
    body = b"# a comment\n\nwhole v=1\n" + (line.encode() if isinstance(line, str) else line)
    answer = write(owner, body)
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]
    assert "(line 4)" in answer.json()["error"]
    assert answer.json()["line"] == 4
    assert owner.samples("influxdb", "d: whole") == {}


def test_what_is_well_formed_but_no_number_that_can_be_kept_is_passed_over(owner: Owner) -> None:
    lines = r'odd,a\ b=c\,d text="a, \"b\" =c",huge=1e300,bytes=9000000000001i,w\ h=2e3 ' + str(NOW)
    assert write(owner, lines).status_code == 204
    assert owner.samples("influxdb", "d: odd,a b=c,d") == {"w h": [(NOW_MS, 2000.0)]}


def test_the_last_number_for_an_instant_counts(owner: Owner) -> None:
    write(owner, f"last v=1 {NOW}\nlast v=2 {NOW}")
    write(owner, f"last v=3 {NOW}")
    assert owner.samples("influxdb", "d: last") == {"v": [(NOW_MS, 3.0)]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 204),
        ("HEAD", "/ping", 204),
        ("GET", "/health", 200),
        ("GET", "/write?db=d", 405),
        ("POST", "/write", 400),
        ("POST", "/api/v2/write?org=o", 400),
        ("POST", "/api/v2/write?bucket=b&precision=h", 400),
        ("POST", "/api/v2/write?bucket=b", 204),
    ],
)
def test_what_clients_probe_is_answered(owner: Owner, method: str, path: str, status: int) -> None:
    with owner.client() as client:
        answer = client.request(method, path, headers={"Authorization": f"Bearer {owner.hex32}"})
    assert answer.status_code == status
    assert answer.headers["x-influxdb-version"] == "1.8.10"


@pytest.mark.parametrize("shown", ["Token wrong", "Basic !", "Digest x", "Basic bWU6d3Jvbmc="])
def test_a_wrong_key_is_refused_in_both_versions(owner: Owner, shown: str) -> None:
    with owner.client() as client:
        # A big body is not even looked at.
        for path, body in (("/write?db=d", "m v=1"), ("/api/v2/write?bucket=b", "{" * 100_000)):
            answer = client.post(path, content=body, headers={"Authorization": shown})
            assert answer.status_code == 401
            assert answer.json()["code"] == "unauthorized"
            assert answer.json()["error"] == "authorization failed"


@pytest.fixture(scope="module")
def metered(owner: Owner) -> Owner:
    """Give the owner a meter with a day of half-hours, one of them missing, and a stranger one."""
    with owner.book.writing() as connection:
        fields = {"user": owner.user}
        claim_meter(connection, meter_id=METER, fields=fields, default_zone="UTC", by=None, now=DAY)
    packets = [
        Packet(meter, DAY + 1800 * i + 1860, 100 + i)
        for meter in (METER, METER + 1)
        for i in range(48)
        if i != 7
    ]
    record_packets(owner.book, packets)
    return owner


def asked(
    owner: Owner, query: str, *, key: str = "", epoch: str = "ms", method: str = "GET"
) -> httpx.Response:
    """Ask as Grafana does: Basic, the query in the address or in a form."""
    with owner.client() as client:
        request: dict[str, Any] = {"params": {"db": "meterbook", "epoch": epoch, "q": query}}
        if method == "POST":
            request = {"params": {"db": "meterbook", "epoch": epoch}, "data": {"q": query}}
        return client.request(method, "/query", auth=("any", key or owner.token), **request)


def test_the_influxdb_package_reads_what_the_pages_show(metered: Owner) -> None:
    port = int(metered.server.url.rpartition(":")[2])
    client = influxdb.InfluxDBClient("127.0.0.1", port, "any", metered.token, "meterbook")
    assert client.get_list_measurements() == [{"name": "energy"}]
    query = 'SELECT sum("kWh"), count("kWh"), max("kW") FROM "energy" WHERE '
    query += f"\"meter\" = '{dashed(METER)}' AND time >= {DAY}s AND time < {DAY + 86_400}s "
    query += "GROUP BY time(1d)"
    [day] = client.query(query, epoch="s").get_points()
    client.close()
    with metered.api() as api:
        shown = api.get(
            f"/profile/{METER}/consumption?from=2026-01-01&to=2026-01-02",
            headers={"Accept": "application/json"},
        ).json()
    assert (day["time"], day["sum"], day["count"]) == (DAY, shown["total_kWh"], 47)
    assert day["max"] == 0.294


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_grafanas_panel_has_a_point_in_each_interval_and_null_where_nothing_is_known(
    metered: Owner, method: str
) -> None:
    end = DAY + 5 * 1800
    query = 'SELECT mean("kW") FROM "energy" WHERE '
    query += (
        f"(\"meter\"::tag = '{dashed(METER)}') "
        f"AND time >= {(DAY + 3 * 1800) * 1000}ms and time <= {(end + 3 * 1800) * 1000}ms "
        'GROUP BY time(30m), "meter"::tag fill(null) ORDER BY time ASC'
    )
    answer = asked(metered, query, method=method)
    assert answer.status_code == 200
    [result] = answer.json()["results"]
    [series] = result["series"]
    assert series["tags"] == {"meter": dashed(METER)}
    assert series["columns"] == ["time", "mean"]
    expected = [None if i == 7 else (100 + i) / 500 for i in range(3, 9)]
    assert [row[1] for row in series["values"]] == expected
    assert [row[0] for row in series["values"]] == [(DAY + 1800 * i) * 1000 for i in range(3, 9)]


def test_grafana_learns_what_there_is(metered: Owner) -> None:
    def listed(query: str) -> list[list[str]]:
        [result] = asked(metered, query).json()["results"]
        rows: list[list[str]] = result["series"][0]["values"]
        return rows

    assert listed("SHOW measurements") == [["energy"]]
    assert listed('SHOW FIELD KEYS FROM "energy"') == [["kWh", "float"], ["kW", "float"]]
    assert listed('SHOW TAG KEYS FROM "energy"') == [["flow"], ["meter"]]
    assert listed('SHOW TAG VALUES FROM "energy" WITH KEY = "meter"') == [["meter", dashed(METER)]]
    assert listed('SHOW RETENTION POLICIES on "meterbook"')[0][0] == "autogen"


def test_who_may_not_see_a_meter_reads_nothing_of_it(metered: Owner) -> None:
    def rows(query: str, key: str = "") -> int:
        answer = asked(metered, query, key=key)
        assert answer.status_code == 200
        return sum(len(one["values"]) for one in answer.json()["results"][0].get("series", ()))

    everything = EVERYTHING + f"time >= {DAY}s"
    others = f"{everything} AND meter = '{dashed(METER + 1)}'"
    assert rows(everything) == 47
    assert rows(others) == 0
    # A device's key writes and does not read.
    assert rows(everything, metered.hex32) == 0
    _, operator = signed_in(metered.book, "reading operator", role=Role.OPERATOR)
    assert rows(others, operator) == 47
    assert asked(metered, everything, key="0" * 64).status_code == 401
    with metered.client() as client:
        nobody = client.get("/query", params={"q": everything})
    assert nobody.json() == {"results": [{"statement_id": 0}]}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ('SELECT median("kWh") FROM energy', "median() is not understood"),
        ('SELECT sum("kWh") FROM energy', "since when is not said"),
        ('SELECT sum("kWh") FROM energy WHERE time > 0s', "too much"),
        ("SHOW GRANTS", "SHOW GRANTS is not understood"),
    ],
)
def test_a_query_that_is_not_understood_is_told_so(metered: Owner, query: str, reason: str) -> None:
    answer = asked(metered, query)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("error parsing query: ")
    assert reason in answer.json()["error"]
