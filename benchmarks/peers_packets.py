"""
One packet a request over 64 connections: Meterbook beside what else people would take.

Every peer gets the same packets of the same 300,000 meters, scattered, from the same wrk, in rounds
(A B C, A B C, ...), alone on the machine while it is its turn. It knows the meters beforehand and
its server is started anew each round. What an answer promises differs, and is said in its name: on
disk, or not.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import psycopg

from benchmarks.big_book import add_meters
from benchmarks.figures import Figure, show
from benchmarks.narrow_table import TABLE
from benchmarks.other_databases import (
    INFLUXDB_WRITE,
    VICTORIA_METRICS_WRITE,
    stored_in_influxdb,
    write_lines,
)
from benchmarks.packet_speed import METERS, NOON, PACKETS_MAX, post_packets, stored_packets
from benchmarks.peer_servers import (
    asked,
    running_influxdb,
    running_postgres,
    running_program,
    running_victoria_metrics,
)
from benchmarks.processor_time import processor_s_of_programs
from benchmarks.programs import PeerMissingError
from benchmarks.servers import running_server
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.storage.database import Database

ROUNDS = 5
CONNECTIONS = 64
STEP = 7919
THREADS = 16  # of gunicorn: more did not help Flask on two cores


class _Started(msgspec.Struct, frozen=True):
    url: str
    stored: Callable[[], int]
    path: str = ""
    """Where line protocol goes; empty: the seed's JSON to /meter."""


class _Round(msgspec.Struct, frozen=True):
    rate: float
    p99_ms: float
    processor_us: float
    """Of the server's processes, for each packet."""


_Start = Callable[[Path], AbstractContextManager[_Started]]


@contextmanager
def meterbook_on_sqlite(folder: Path) -> Iterator[_Started]:
    """Start Meterbook on SQLite."""
    if _is_first(folder):
        database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
        add_meters(database, meters=METERS)
        database.close()
    with running_server(folder) as url:
        yield _Started(url, lambda: stored_packets(url))


@contextmanager
def meterbook_on_postgres(folder: Path) -> Iterator[_Started]:
    """Start Meterbook on PostgreSQL."""
    is_first = _is_first(folder)
    with running_postgres(folder) as address:
        if is_first:
            database = Database(address)
            add_meters(database, meters=METERS)
            database.close()
        with running_server(folder / "data", database_url=address) as url:
            yield _Started(url, lambda: stored_packets(url))


@contextmanager
def influxdb(folder: Path) -> Iterator[_Started]:
    """Start InfluxDB."""
    is_first = _is_first(folder)
    with running_influxdb(folder) as port:
        if is_first:
            write_lines(port, INFLUXDB_WRITE, _earlier_lines())
        url = f"http://127.0.0.1:{port}"
        yield _Started(url, lambda: stored_in_influxdb(port), INFLUXDB_WRITE)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[_Started]:
    """Start VictoriaMetrics."""
    is_first = _is_first(folder)
    with running_victoria_metrics(folder) as port:
        if is_first:
            write_lines(port, VICTORIA_METRICS_WRITE, _earlier_lines())

        def stored() -> int:
            text = asked(port, "GET", "/metrics").decode()
            found = re.search(r'vm_rows_inserted_total\{type="influx"\} (\d+)', text)
            return int(found[1]) if found else 0

        yield _Started(f"http://127.0.0.1:{port}", stored, VICTORIA_METRICS_WRITE)


@contextmanager
def narrow_table(folder: Path) -> Iterator[_Started]:
    """Start a narrow PostgreSQL table behind the thinnest server."""
    with running_postgres(folder) as address, psycopg.connect(address, autocommit=True) as direct:
        direct.execute(TABLE)

        def stored() -> int:
            row = direct.execute("SELECT count(*) FROM readings").fetchone()
            assert row
            return int(row[0])

        command = ["-m", "benchmarks.narrow_table", "{port}"]
        with running_program(command, probe="/", environment={"NARROW_DATABASE": address}) as port:
            yield _Started(f"http://127.0.0.1:{port}", stored)


@contextmanager
def seed_on_flask(folder: Path) -> Iterator[_Started]:
    """Start the seed's own design with Flask's own server."""
    with _seed(folder, ["-m", "benchmarks.seed_design", "{port}"]) as started:
        yield started


@contextmanager
def seed_on_gunicorn(folder: Path) -> Iterator[_Started]:
    """Start the seed's own design with gunicorn: one process, for its dictionary is in memory."""
    command = [
        "-m", "gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS),
        "--bind", "127.0.0.1:{port}", "benchmarks.seed_design:app",
    ]  # fmt: skip
    with _seed(folder, command) as started:
        yield started


@contextmanager
def _seed(folder: Path, command: list[str]) -> Iterator[_Started]:
    environment = {"SEED_RECOVERY": str(folder / "recovery.json")}
    with running_program(command, probe="/count", environment=environment) as port:
        yield _Started(f"http://127.0.0.1:{port}", lambda: int(asked(port, "GET", "/count")))


OURS, OURS_ON_POSTGRES = "Meterbook, SQLite, fsync", "Meterbook, PostgreSQL, fsync"
INFLUXDB, SEED = "InfluxDB 1.6, fsync", "the seed's design, Flask's server, in memory"
PEERS: dict[str, _Start] = {
    OURS: meterbook_on_sqlite,
    INFLUXDB: influxdb,
    OURS_ON_POSTGRES: meterbook_on_postgres,
    "narrow PostgreSQL table, fsync": narrow_table,
    "VictoriaMetrics, no fsync": victoria_metrics,
    SEED: seed_on_flask,
    "the seed's design, gunicorn, in memory": seed_on_gunicorn,
}
AIMS = {INFLUXDB: 1.2, SEED: 20.0}


def figures() -> list[Figure]:
    """Return packets a second of each peer, and how many times as fast Meterbook on SQLite is."""
    runs: dict[str, list[_Round]] = {}
    with tempfile.TemporaryDirectory(prefix="meterbook-peers-") as name:
        for number in range(ROUNDS):
            for peer, start in PEERS.items():
                folder = Path(name) / start.__name__
                folder.mkdir(exist_ok=True)
                try:
                    runs.setdefault(peer, []).append(_round(start, folder, number))
                except PeerMissingError as missing:
                    print(f"{peer} left out: {missing}")
                    del runs[peer]
    return [figure for peer, sent in runs.items() for figure in _of_peer(peer, sent, runs[OURS])]


def _round(start: _Start, folder: Path, number: int) -> _Round:
    half_hours = -(-PACKETS_MAX // METERS)
    with start(folder) as started:
        before = started.stored()
        processor_s = processor_s_of_programs()
        sent = post_packets(
            started.url,
            connections=CONNECTIONS,
            step=STEP,
            first_stamp=NOON + 60 + number * half_hours * HALF_HOUR_S,
            path=started.path,
        )
        processor_s = processor_s_of_programs() - processor_s
        stored = started.stored() - before
    if stored < sent.answered:
        sys.exit(f"{start.__name__}: {sent.answered} acknowledged, {stored} stored")
    return _Round(sent.rate, sent.p99_ms, processor_s / sent.answered * 1e6)


def _of_peer(peer: str, sent: list[_Round], ours: list[_Round]) -> Iterator[Figure]:
    name = f"one packet a request, {CONNECTIONS} connections"
    yield Figure(f"{name}: {peer}", "packets/s", [run.rate for run in sent])
    yield Figure(f"{name}: {peer}: p99", "ms", [run.p99_ms for run in sent])
    yield Figure(f"{name}: {peer}: server's CPU", "us/packet", [run.processor_us for run in sent])
    if peer != OURS:
        ratios = [mine.rate / theirs.rate for mine, theirs in zip(ours, sent, strict=False)]
        yield Figure(against(peer), "times as fast", ratios, aim=AIMS.get(peer))


def against(peer: str) -> str:
    """Return the name of the figure that compares Meterbook with a peer."""
    return f"one packet a request: Meterbook on SQLite against {peer}"


def _is_first(folder: Path) -> bool:
    mark = folder / "filled"
    is_first = not mark.exists()
    mark.touch()
    return is_first


def _earlier_lines() -> list[bytes]:
    at = NOON - 2 * HALF_HOUR_S
    return [b"energy,meter=%d wh=1i %d" % (meter, at) for meter in range(1, METERS + 1)]


if __name__ == "__main__":
    show(figures())
