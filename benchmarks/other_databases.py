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
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

LINES_A_REQUEST = 10_000  # what InfluxDB's own page on writing recommends at most
CONNECTIONS = 2
LOG_BYTES_LEFT = 1 << 20
_PATIENCE_S = 30.0
_INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  wal-fsync-delay = "0s"
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "2s"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


class Written(msgspec.Struct, frozen=True):
    """How long a database took for all lines, and what they take up."""

    seconds: float
    stored: int
    """Readings that it counts itself afterwards."""
    disk_bytes: int


def influxdb(lines: Sequence[bytes], folder: Path) -> Written | None:
    """Write the lines into InfluxDB; None where it is not installed."""
    program = shutil.which("influxd")
    if program is None:
        return None
    port = _free_port()
    config = folder / "influxdb.conf"
    text = _INFLUX_CONFIG.format(folder=folder, port=port, backup_port=_free_port())
    config.write_text(text, encoding="ascii")
    with _running([program, "-config", str(config)], port, "/ping"):
        _asked(port, "POST", "/query?q=" + quote('CREATE DATABASE "bench"'))
        seconds = _written(port, "/write?db=bench&precision=s", lines, lambda: None)
        count = _asked(port, "GET", "/query?db=bench&q=select+count(wh)+from+energy")
        stored = int(json.loads(count)["results"][0]["series"][0]["values"][0][1])
        _await_packed(folder / "wal")
    return Written(seconds, stored, _bytes_in(folder))


def victoria_metrics(lines: Sequence[bytes], folder: Path) -> Written | None:
    """Write the lines into VictoriaMetrics; None where it is not installed."""
    program = shutil.which("victoria-metrics")
    if program is None:
        return None
    port = _free_port()
    command = [
        program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/storage",
        "-retentionPeriod=100y", "-loggerLevel=ERROR",
    ]  # fmt: skip
    with _running(command, port, "/health"):
        seconds = _written(
            port, "/write?precision=s", lines, lambda: _asked(port, "GET", "/internal/force_flush")
        )
        query = quote("sum(count_over_time(energy_wh[2y]))")
        count = _asked(port, "GET", f"/api/v1/query?query={query}&time=1400000000")
        stored = int(json.loads(count)["data"]["result"][0]["value"][1])
    return Written(seconds, stored, _bytes_in(folder))


def _written(port: int, path: str, lines: Sequence[bytes], finish: Callable[[], object]) -> float:
    bodies = [
        b"\n".join(lines[begin : begin + LINES_A_REQUEST])
        for begin in range(0, len(lines), LINES_A_REQUEST)
    ]
    begin = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [bodies[number::CONNECTIONS] for number in range(CONNECTIONS)]
        for done in [threads.submit(_posted, port, path, share) for share in shares]:
            done.result()
    finish()
    return time.perf_counter() - begin


def _posted(port: int, path: str, bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    for body in bodies:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.NO_CONTENT:
            raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")
    connection.close()


def _asked(port: int, method: str, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    connection.request(method, path)
    answer = connection.getresponse().read()
    connection.close()
    return answer


@contextmanager
def _running(command: Sequence[str], port: int, probe: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(port, probe)
            yield
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _await(port: int, probe: str) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while time.monotonic() < ends:
        try:
            _asked(port, "GET", probe)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"nothing answered {probe} within {_PATIENCE_S:.0f} s")


def _await_packed(log: Path) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while _bytes_in(log) > LOG_BYTES_LEFT and time.monotonic() < ends:
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _bytes_in(folder: Path) -> int:
    # Blocks on disk: InfluxDB reserves 32 MiB of empty files for the names of series.
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(file.st_blocks * 512 for file in files)
