"""
The same readings into Debian's InfluxDB 1.6 and VictoriaMetrics, for comparison in the same run.

Both get line protocol that was made before the clock starts, 10,000 lines a request from two
connections. InfluxDB writes every request to its log with fsync (`wal-fsync-delay = "0s"`, its
default), as Meterbook does at its commit. VictoriaMetrics has no log: its answers promise nothing
that outlives a power cut, and its time ends with a forced flush. Sizes are those of the folders
after an orderly end, InfluxDB's once it has packed its log (it is told to after 2 s instead of 10
minutes without a write).
"""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import msgspec

from benchmarks.peer_servers import (
    PATIENCE_S,
    asked,
    running_influxdb,
    running_victoria_metrics,
)
from benchmarks.programs import PeerMissingError

LINES_A_REQUEST = 10_000  # what InfluxDB's own page on writing recommends at most
CONNECTIONS = 2
LOG_BYTES_LEFT = 1 << 20
INFLUXDB_WRITE = "/write?db=bench&precision=s"
VICTORIA_METRICS_WRITE = "/write?precision=s"


class Written(msgspec.Struct, frozen=True):
    """How long a database took for all lines, and what they take up."""

    seconds: float
    stored: int
    """Readings that it counts itself afterwards."""
    disk_bytes: int


def influxdb(lines: Sequence[bytes], folder: Path) -> Written | None:
    """Write the lines into InfluxDB; None where it is not installed."""
    try:
        with running_influxdb(folder) as port:
            seconds = write_lines(port, INFLUXDB_WRITE, lines)
            stored = stored_in_influxdb(port)
            await_packed(folder / "wal")
    except PeerMissingError as missing:
        print(missing)
        return None
    return Written(seconds, stored, bytes_in(folder))


def victoria_metrics(lines: Sequence[bytes], folder: Path) -> Written | None:
    """Write the lines into VictoriaMetrics; None where it is not installed."""
    try:
        with running_victoria_metrics(folder) as port:
            begin = time.perf_counter()
            write_lines(port, VICTORIA_METRICS_WRITE, lines)
            asked(port, "GET", "/internal/force_flush")
            seconds = time.perf_counter() - begin
            query = quote("sum(count_over_time(energy_wh[2y]))")
            count = asked(port, "GET", f"/api/v1/query?query={query}&time=1400000000")
            stored = int(json.loads(count)["data"]["result"][0]["value"][1])
    except PeerMissingError as missing:
        print(missing)
        return None
    return Written(seconds, stored, bytes_in(folder))


def stored_in_influxdb(port: int) -> int:
    """Return how many readings InfluxDB counts."""
    count = asked(port, "GET", "/query?db=bench&q=select+count(wh)+from+energy")
    series = json.loads(count)["results"][0].get("series")
    return int(series[0]["values"][0][1]) if series else 0


def write_lines(port: int, path: str, lines: Sequence[bytes]) -> float:
    """Write line protocol, LINES_A_REQUEST at once, and return how long it took, in seconds."""
    bodies = [
        b"\n".join(lines[begin : begin + LINES_A_REQUEST])
        for begin in range(0, len(lines), LINES_A_REQUEST)
    ]
    begin = time.perf_counter()
    write_bodies(port, path, bodies)
    return time.perf_counter() - begin


def write_bodies(port: int, path: str, bodies: Sequence[bytes]) -> None:
    """Post the bodies over CONNECTIONS connections."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [bodies[number::CONNECTIONS] for number in range(CONNECTIONS)]
        for done in [threads.submit(_posted, port, path, share) for share in shares]:
            done.result()


def _posted(port: int, path: str, bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    for body in bodies:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.NO_CONTENT:
            raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")
    connection.close()


def await_packed(log: Path) -> None:
    """Wait until InfluxDB has written nearly all of its log into its files."""
    ends = time.monotonic() + PATIENCE_S
    while bytes_in(log) > LOG_BYTES_LEFT and time.monotonic() < ends:
        time.sleep(0.5)


def bytes_in(folder: Path) -> int:
    """Return what the files below a folder take up on disk."""
    # Blocks on disk: InfluxDB reserves 32 MiB of empty files for the names of series.
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(file.st_blocks * 512 for file in files)
