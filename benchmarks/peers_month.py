"""
The month of one meter by day over HTTP, with 1,000,000 meters stored: Meterbook and the peers.

A whole month of a million meters is 1.5 billion readings, out of reach for peers in minutes: every
hundredth meter has the whole month, all have four hours of its middle day, 22.8 million readings,
the same for all. InfluxDB and VictoriaMetrics are loaded by line protocol, the narrow table by
COPY, in the order of arrival; Meterbook, which knows the meters, by `meterbook import` of files
ordered by meter. Before the clock starts every peer must give the same 31 sums.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
import polars as pl
import psycopg

from benchmarks.big_book import add_meters, real_amounts
from benchmarks.figures import Figure, show
from benchmarks.narrow_table import TABLE
from benchmarks.other_databases import (
    INFLUXDB_WRITE,
    LINES_A_REQUEST,
    VICTORIA_METRICS_WRITE,
    await_packed,
    write_bodies,
)
from benchmarks.peer_servers import (
    asked,
    running_influxdb,
    running_postgres,
    running_program,
    running_victoria_metrics,
)
from benchmarks.programs import PeerMissingError
from benchmarks.read_speed import END, FIRST, METERS, MONTH_PATH, UTC, ask_months, operator_token
from benchmarks.servers import running_server
from meterbook.domain.local_days import midnight
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.storage.database import Database

STEP = 100  # every hundredth meter has the whole month
FOUR_HOURS = 8
FILE_METERS = 100_000
ROUNDS = 9  # the machine wanders by 2x from one to the next
CONNECTIONS = 16
WORKERS = 2  # one process of Python has one core; the peers take both by themselves
DAY_S = 86_400
BEGINS, ENDS = midnight(FIRST, UTC), midnight(END, UTC)
_DAYS = (END - FIRST).days


class _Started(msgspec.Struct, frozen=True):
    url: str
    path: str
    """With METER where the number of the meter goes."""
    days: Callable[[bytes], list[int]]
    """The energies of an answer, in Wh."""
    token: str = ""


_Start = Callable[[Path], AbstractContextManager[_Started]]


def readings_of_day(number: int) -> pl.DataFrame:
    """Return meter_id, starts_at (epoch s) and wh of one day of the month, in order of arrival."""
    whole = np.arange(STEP, METERS + 1, STEP)
    slots = [(slot, whole) for slot in range(48)]
    if number == _DAYS // 2:
        slots[:FOUR_HOURS] = [(slot, np.arange(1, METERS + 1)) for slot in range(FOUR_HOURS)]
    amounts = np.array(real_amounts(), dtype=np.int64)
    return pl.concat(
        pl.DataFrame({
            "meter_id": meters,
            "starts_at": np.full(len(meters), BEGINS + number * DAY_S + slot * HALF_HOUR_S),
            "wh": amounts[(meters * 7919 + number * 48 + slot) % len(amounts)],
        })
        for slot, meters in slots
    )  # fmt: skip


@contextmanager
def meterbook(folder: Path) -> Iterator[_Started]:
    """Start Meterbook on SQLite, with a worker for each core."""
    mark = folder / "token"
    if not mark.exists():
        database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
        add_meters(database, meters=METERS)
        subprocess.run(
            [sys.executable, "-m", "meterbook", "import", *_files_by_meter(folder)],
            check=True, env={**os.environ, "METERBOOK_DATA_DIR": str(folder)},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        mark.write_text(operator_token(database, now=int(time.time())), encoding="ascii")
        database.close()
    with running_server(folder, workers=WORKERS) as url:

        def days(text: bytes) -> list[int]:
            points = msgspec.json.decode(text)["points"]
            return [round(point["kWh"] * 1000) for point in points]

        yield _Started(url, MONTH_PATH, days, mark.read_text(encoding="ascii"))


@contextmanager
def influxdb(folder: Path) -> Iterator[_Started]:
    """Start InfluxDB with the index it advises for a million series."""
    is_first = not (folder / "data").exists()
    with running_influxdb(folder, index="tsi1") as port:
        if is_first:
            _write_lines(port, INFLUXDB_WRITE)
            await_packed(folder / "wal")
        within = f"time >= {BEGINS}s AND time < {ENDS}s GROUP BY time(1d)"
        question = f"SELECT sum(wh) FROM energy WHERE meter='METER' AND {within}"  # noqa: S608

        def days(text: bytes) -> list[int]:
            rows = msgspec.json.decode(text)["results"][0]["series"][0]["values"]
            return [row[1] for row in rows]

        path = f"/query?db=bench&epoch=s&q={quote(question)}"
        yield _Started(f"http://127.0.0.1:{port}", path, days)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[_Started]:
    """Start VictoriaMetrics; its cache of answers is not asked, since it shifts the days."""
    is_first = not (folder / "storage").exists()
    with running_victoria_metrics(folder) as port:
        if is_first:
            _write_lines(port, VICTORIA_METRICS_WRITE)
            asked(port, "GET", "/internal/force_flush")
        question = quote('sum_over_time(energy_wh{meter="METER"}[1d])')
        # A window ends with its stamp and leaves out its begin: half a slot before midnight.
        start, end = BEGINS + DAY_S - HALF_HOUR_S // 2, ENDS
        path = f"/api/v1/query_range?query={question}&start={start}&end={end}&step=1d&nocache=1"

        def days(text: bytes) -> list[int]:
            rows = msgspec.json.decode(text)["data"]["result"][0]["values"]
            return [int(row[1]) for row in rows]

        yield _Started(f"http://127.0.0.1:{port}", path, days)


@contextmanager
def narrow_table(folder: Path) -> Iterator[_Started]:
    """Start a narrow PostgreSQL table behind the thinnest server."""
    is_first = not (folder / "cluster").exists()
    with running_postgres(folder) as address:
        if is_first:
            with psycopg.connect(address, autocommit=True) as direct:
                direct.execute(TABLE)
                with direct.cursor().copy("COPY readings FROM STDIN (FORMAT csv)") as copy:
                    for frame in _frames():
                        copy.write(frame.write_csv(include_header=False).encode())
                direct.execute("VACUUM ANALYZE readings")
        command = ["-m", "benchmarks.narrow_table", "{port}"]
        with running_program(command, probe="/", environment={"NARROW_DATABASE": address}) as port:
            yield _Started(
                f"http://127.0.0.1:{port}",
                f"/month?meter=METER&from={BEGINS}&to={ENDS}",
                lambda text: [row[1] for row in msgspec.json.decode(text)],
            )


OURS, INFLUXDB = "Meterbook, SQLite", "InfluxDB 1.6"
PEERS: dict[str, _Start] = {
    OURS: meterbook,
    INFLUXDB: influxdb,
    "VictoriaMetrics": victoria_metrics,
    "narrow PostgreSQL table": narrow_table,
}
AIMS = {INFLUXDB: 3.0}


def figures() -> list[Figure]:
    """Return months a second of each peer, and how many times as fast Meterbook is."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="meterbook-peers-") as name:
        for _ in range(ROUNDS):
            for peer, start in PEERS.items():
                folder = Path(name) / start.__name__
                folder.mkdir(exist_ok=True)
                try:
                    found.setdefault(peer, []).append(_round(start, folder))
                except PeerMissingError as missing:
                    print(f"{peer} left out: {missing}")
                    del found[peer]
    return [figure for peer, rates in found.items() for figure in _of_peer(peer, found, rates)]


def _round(start: _Start, folder: Path) -> float:
    began = time.perf_counter()
    with start(folder) as started:
        _require_right(started)
        print(f"  {start.__name__} ready after {time.perf_counter() - began:.0f} s", flush=True)
        return ask_months(
            started.url,
            started.path,
            connections=CONNECTIONS,
            meters=METERS // STEP,
            step=STEP,
            token=started.token,
        ).rate


def _require_right(started: _Started) -> None:
    meter = 42 * STEP
    amounts = real_amounts()
    right = [
        sum(amounts[(meter * 7919 + place) % len(amounts)] for place in range(day, day + 48))
        for day in range(0, _DAYS * 48, 48)
    ]
    answer = httpx.get(
        started.url + started.path.replace("METER", str(meter)),
        headers={"Authorization": f"Token {started.token}"} if started.token else {},
        timeout=60,
    )
    if started.days(answer.content) != right:
        raise RuntimeError(f"wrong days: {answer.text[:500]}")


def _of_peer(peer: str, found: dict[str, list[float]], rates: list[float]) -> Iterator[Figure]:
    name = f"a month of one meter of {METERS:,} by day, {CONNECTIONS} connections"
    yield Figure(f"{name}: {peer}", "months/s", rates)
    if peer != OURS:
        ratios = [mine / theirs for mine, theirs in zip(found[OURS], rates, strict=False)]
        yield Figure(against(peer), "times as fast", ratios, aim=AIMS.get(peer))


def against(peer: str) -> str:
    """Return the name of the figure that compares Meterbook with a peer."""
    return f"a month of one meter by day: Meterbook against {peer}"


def _files_by_meter(folder: Path) -> list[str]:
    readings = pl.concat(_frames()).select(
        "meter_id",
        starts_at=(pl.col("starts_at") * 1000).cast(pl.Datetime("ms", "UTC")),
        kWh=pl.col("wh") / 1000,
    )
    readings = readings.sort("meter_id", "starts_at")
    paths = []
    for first in range(1, METERS + 1, FILE_METERS):
        paths.append(str(folder / f"{first}.parquet"))
        within = pl.col("meter_id").is_between(first, first + FILE_METERS - 1)
        readings.filter(within).write_parquet(paths[-1])
    return paths


def _frames() -> Iterator[pl.DataFrame]:
    return (readings_of_day(number) for number in range(_DAYS))


def _write_lines(port: int, path: str) -> None:
    for frame in _frames():
        lines = frame.select(
            line=pl.format("energy,meter={} wh={}i {}", "meter_id", "wh", "starts_at")
        )["line"]
        bodies = [
            "\n".join(lines[begin : begin + LINES_A_REQUEST].to_list()).encode()
            for begin in range(0, len(lines), LINES_A_REQUEST)
        ]
        write_bodies(port, path, bodies)


if __name__ == "__main__":
    show(figures())
