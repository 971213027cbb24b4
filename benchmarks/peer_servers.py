"""
The peers, each started over a folder on a free loopback port and ended again.

Debian's InfluxDB 1.6, VictoriaMetrics and PostgreSQL as they come, but for a few things: InfluxDB's
limits on series are lifted, a write may take longer than 10 s, its own statistics are off; and
PostgreSQL listens on a socket file.
PostgreSQL refuses to run as root: then it runs as the user postgres.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.programs import found_program
from benchmarks.servers import free_port

PATIENCE_S = 120.0
_INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup_port}"
[meta]
  dir = "{folder}/meta"
[coordinator]
  write-timeout = "110s"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  wal-fsync-delay = "0s"
  index-version = "{index}"
  max-series-per-database = 0
  max-values-per-tag = 0
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "2s"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


@contextmanager
def running_influxdb(folder: Path, *, index: str = "inmem") -> Iterator[int]:
    """
    Start InfluxDB with a database `bench` and give its port.

    It writes every request to its log with fsync (`wal-fsync-delay = "0s"`, its default).

    :param index: `inmem`, its default, or `tsi1`, what it advises for a million series.
    :raises PeerMissingError: where it is not installed.
    """
    program = found_program("influxd")
    port = free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        _INFLUX_CONFIG.format(folder=folder, port=port, index=index, backup_port=free_port()),
        encoding="ascii",
    )
    with _running([program, "-config", str(config)], port, "/ping"):
        asked(port, "POST", "/query?q=CREATE+DATABASE+%22bench%22")
        yield port


@contextmanager
def running_victoria_metrics(folder: Path) -> Iterator[int]:
    """
    Start VictoriaMetrics and give its port.

    :raises PeerMissingError: where it is not installed.
    """
    port = free_port()
    command = [
        found_program("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder}/storage", "-retentionPeriod=100y", "-loggerLevel=ERROR",
    ]  # fmt: skip
    with _running(command, port, "/health"):
        yield port


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """
    Start PostgreSQL, fsync on, with a cluster of its own, and give the URL of a database.

    :raises PeerMissingError: where it is not installed.
    """
    initdb, postgres = found_program("initdb"), found_program("postgres")
    user = "postgres" if os.geteuid() == 0 else None
    cluster = folder / "cluster"
    if not cluster.exists():
        if user:
            # The folders above belong to root and to nobody else: let the user through.
            folder.parent.chmod(0o711)
            shutil.chown(folder, user)
        subprocess.run(
            [initdb, "-D", str(cluster), "-U", "postgres", "-A", "trust", "-E", "UTF8"],
            check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    settings = ["-c", "listen_addresses=", "-c", "max_connections=200"]
    with subprocess.Popen(
        [postgres, "-D", str(cluster), "-k", str(folder), *settings],
        user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        url = f"postgresql:///postgres?host={folder}&user=postgres"
        try:
            _await(process, lambda: psycopg.connect(url).close())
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # a fast end; SIGTERM would wait for clients
            process.wait(PATIENCE_S)


@contextmanager
def running_program(
    command: Sequence[str], *, probe: str, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """
    Start one of our own baseline programs in Python and give its port.

    :param command: what Python runs; `{port}` in it is replaced.
    """
    port = free_port()
    filled = [sys.executable, *(part.replace("{port}", str(port)) for part in command)]
    with _running(filled, port, probe, environment=environment):
        yield port


def asked(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    """
    Return the answer's body.

    :raises RuntimeError: if the answer is not a success.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status // 100 != 2:
        raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
    return text


@contextmanager
def _running(
    command: Sequence[str],
    port: int,
    probe: str,
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    ) as process:
        try:
            _await(process, lambda: asked(port, "GET", probe))
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _await(process: "subprocess.Popen[bytes]", attempt: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            attempt()
        except (OSError, RuntimeError, psycopg.OperationalError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not answer within {PATIENCE_S:.0f} s")
