"""
Packets: one per request with a durable acknowledgement each, and many per request.

The server is the real one with one worker, in a process of its own; wrk (Debian's) is the client,
with every request made before the clock starts. Both share the machine.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from benchmarks.big_book import make_meters
from benchmarks.figures import Figure, repeated, show
from benchmarks.servers import running_server

METERS = 300_000
SECONDS = 6
RUNS = 5
PACKETS_MAX = 400_000
UPLOAD_ROWS = 500_000
NOON = 1_741_780_800  # 2025-03-12T12:00Z
_LATENCY_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_AIMS = {64: 20_000, 256: 25_000}
_P99_AIM_MS = 25.0
_ORDERS = {"in order": 1, "scattered": 7919}


class Sent(msgspec.Struct, frozen=True):
    """What wrk saw."""

    answered: int
    """Requests with a 2xx answer within the time."""
    rate: float
    """Answers a second."""
    p99_ms: float


def measure_packets(connections: int, step: int) -> dict[str, float]:
    """
    Post packets never sent before for some seconds, to a new book.

    :param step: 1 sends the meters in order, a number prime to METERS sends them scattered.
    """
    with new_server() as url:
        sent = post_packets(url, connections=connections, step=step)
        stored = stored_packets(url)
    if stored < sent.answered:
        sys.exit(f"{sent.answered} acknowledged, {stored} stored")
    return {"packets/s": sent.rate, "p99 ms": sent.p99_ms}


def post_packets(
    url: str,
    *,
    connections: int,
    step: int,
    first_stamp: int = NOON + 60,
    path: str = "",
    meters: int = METERS,
) -> Sent:
    """
    Post packets for some seconds and return how it went.

    :param first_stamp: of the first packet of each meter; PACKETS_MAX // meters half-hours follow.
    :param path: where the same goes as line protocol; default: the seed's JSON to /meter.
    """
    printed = subprocess.run(
        [
            _wrk(), "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency",
            "-s", str(Path(__file__).with_name("packets.lua")), f"{url}/meter",
            "--", "1", str(meters), str(PACKETS_MAX), str(first_stamp), str(step),
            *([path] if path else []),
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in printed:
        sys.exit(f"packets were refused:\n{printed}")
    answered = re.search(r"(\d+) requests in", printed)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert answered
    assert p99
    assert rate
    return Sent(int(answered[1]), float(rate[1]), float(p99[1]) * _LATENCY_MS[p99[2]])


def measure_uploads() -> dict[str, float]:
    """Upload many packets in one request, in each form."""
    frame = pl.DataFrame({"n": range(UPLOAD_ROWS)}).select(
        id=pl.col("n") * 7919 % METERS + 1,
        timestamp=pl.from_epoch(NOON + 60 + pl.col("n") // METERS * 1800)
        .dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        reading_kWh=pl.col("n") % 3000 / 1000,
    )  # fmt: skip
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    lines = frame.write_ndjson().encode()
    bodies = {
        "application/json": b"[" + lines.replace(b"\n", b",").rstrip(b",") + b"]",
        "application/x-ndjson": lines,
        "text/csv": frame.write_csv().encode(),
        "application/vnd.apache.parquet": parquet.getvalue(),
    }
    found = {}
    for kind, body in bodies.items():
        with new_server() as url:
            request = urllib.request.Request(
                f"{url}/readings", data=body, headers={"content-type": kind}
            )
            begin = time.perf_counter()
            with urllib.request.urlopen(request, timeout=300) as answer:
                text = answer.read()
            found[kind] = UPLOAD_ROWS / (time.perf_counter() - begin)
            if f'"accepted":{UPLOAD_ROWS}'.encode() not in text:
                sys.exit(f"{kind}: {text[:200]!r}")
    return found


def figures() -> list[Figure]:
    """Return the figures of several runs."""
    found = []
    for order, step in _ORDERS.items():
        for connections, aim in _AIMS.items():
            runs = repeated(RUNS, partial(measure_packets, connections, step))
            name = f"packets, {connections} connections, meters {order}"
            found.append(Figure(name, "packets/s", runs["packets/s"], aim=aim))
            found.append(
                Figure(f"{name}: p99", "ms", runs["p99 ms"], aim=_P99_AIM_MS, lower_is_better=True)
            )
    for kind, rates in repeated(RUNS, measure_uploads).items():
        found.append(Figure(f"POST /readings, {kind}", "readings/s", rates, aim=150_000))
    return found


@contextmanager
def new_server() -> Iterator[str]:
    """Give the URL of a server whose meters are registered."""
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        make_meters(Path(folder), meters=METERS).close()
        with running_server(Path(folder)) as url:
            yield url


def stored_packets(url: str) -> int:
    """Return how many new packets the server says it has stored."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.search(r'packets_total{outcome="new"} ([\d.e+]+)', text)
    return int(float(found[1])) if found else 0


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    return found


if __name__ == "__main__":
    show(figures())
