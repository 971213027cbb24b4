"""
How fast `meterbook import` takes readings of many homes out of one CSV and one Parquet file.

The CSV is a year of 100 homes made of the real London ones (1.7 million readings), the Parquet file
ten million readings. Runs the command itself on an empty SQLite book: the figures include starting
Python, making the database, checking every row and committing to disk; "without start-up" takes off
what the command needs for a file with one reading. Memory is the peak of the process, processor
time that of both cores.

Where Debian's `influxdb` and `victoria-metrics` are installed, they get the same readings in the
same run, in turn with a running Meterbook: the file is posted to `/imports`, and the time ends with
the answer, when all days are closed and on disk. One reading before that has loaded the parsers.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl

from benchmarks.figures import Figure, show
from benchmarks.import_speed import make_homes
from benchmarks.other_databases import Written, influxdb, victoria_metrics
from benchmarks.servers import running_server
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database

PARQUET_READINGS = 10_000_000
CSV = "CSV, 100 homes x 1 year"
ONE_READING = b"meter,starts_at,kWh\n999999999,2013-01-01 00:00:00,0.1\n"
ROUNDS = 3
SERVED_AIM = 2_500_000
INFLUXDB, VICTORIA_METRICS = "InfluxDB 1.6, fsync each request", "VictoriaMetrics, no fsync"
PEERS = {INFLUXDB: (influxdb, 3.0), VICTORIA_METRICS: (victoria_metrics, 0.8)}
"""How each is written to, and how many times as fast Meterbook should be."""
DAY_S = 86_400
MIB = 1 << 20
# A process counts the memory of the one that started it as its own peak: so a small one starts it.
_MEASURED = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


class _Import(msgspec.Struct, frozen=True):
    elapsed_s: float
    processor_s: float
    memory_bytes: int
    disk_bytes: int


def figures() -> list[Figure]:
    """Run the command once on each file; the larger one is what memory is looked at for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        single = folder / "single.csv"
        single.write_bytes(ONE_READING)
        idle = _imported(single, folder / "idle")
        csv, rows = _one_csv(folder)
        from_csv = _imported(csv, folder / "csv")
        parquet = _imported(_one_parquet(folder), folder / "parquet")
        others = _of_servers(csv, rows, folder)
    return _of_csv(from_csv, idle, rows) + _of_parquet(parquet) + others


def _of_csv(csv: _Import, idle: _Import, rows: int) -> list[Figure]:
    name = CSV
    work_s = max(csv.elapsed_s - idle.elapsed_s, 0.001)
    processor_s = csv.processor_s - idle.processor_s
    return [
        Figure(f"{name}, with start-up", "readings/s", [rows / csv.elapsed_s], aim=2_500_000),
        Figure(f"{name}, without start-up", "readings/s", [rows / work_s], aim=2_500_000),
        Figure(f"{name}, processor time", "s/M readings", [processor_s / rows * 1e6]),
        Figure(f"{name}, peak memory", "MiB", [csv.memory_bytes / MIB], 1024, lower_is_better=True),
        Figure(f"{name}, SQLite file", "bytes/reading", [csv.disk_bytes / rows]),
    ]


def _of_parquet(parquet: _Import) -> list[Figure]:
    speed, mib = PARQUET_READINGS / parquet.elapsed_s, parquet.memory_bytes / MIB
    return [
        Figure("Parquet, 10 M readings", "readings/s", [speed]),
        Figure("Parquet, peak memory", "MiB", [mib], aim=1024, lower_is_better=True),
    ]


def _of_servers(csv: Path, rows: int, folder: Path) -> list[Figure]:
    lines = _line_protocol(csv)
    ours: list[float] = []
    theirs: dict[str, list[Written]] = {}
    for number in range(ROUNDS):
        ours.append(_posted(csv, rows, folder / f"served-{number}"))
        for name, (write, _) in PEERS.items():
            place = folder / f"{write.__name__}-{number}"
            place.mkdir()
            written = write(lines, place)
            if written is None:
                continue
            if written.stored != len(lines):
                raise RuntimeError(f"{name} holds {written.stored} of {len(lines)} readings")
            theirs.setdefault(name, []).append(written)
    found = [
        Figure(f"{CSV}, posted to a server", "readings/s", [rows / s for s in ours], SERVED_AIM)
    ]
    for name, runs in theirs.items():
        rates = [len(lines) / run.seconds for run in runs]
        sizes = [run.disk_bytes / len(lines) for run in runs]
        ratios = [run.seconds / seconds for run, seconds in zip(runs, ours, strict=True)]
        found += [
            Figure(f"{name}: same readings", "readings/s", rates),
            Figure(f"{name}: on disk", "bytes/reading", sizes),
            Figure(against(name), "times as fast", ratios, PEERS[name][1]),
        ]
    return found


def against(peer: str) -> str:
    """Return the name of the figure that compares the two."""
    return f"Meterbook's server against {peer}"


def _posted(csv: Path, rows: int, folder: Path) -> float:
    """Return how long a running server takes from the file's first byte to its answer."""
    folder.mkdir()
    with running_server(folder) as url:
        database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
        now = int(time.time())
        with database.writing() as connection:
            account = add_account(
                connection, username="o", email="o@example.com", password_hash="", role=Role.ADMIN,
                now=now,
            )  # fmt: skip
            token = issue_token(connection, account_id=account.id, purpose="api", now=now)
        database.close()
        headers = {"Authorization": f"Token {token}", "Content-Type": "text/csv"}
        with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
            client.post("/imports", content=ONE_READING).raise_for_status()
            body = csv.read_bytes()
            begin = time.perf_counter()
            report = client.post("/imports", content=body).raise_for_status().json()
            elapsed_s = time.perf_counter() - begin
    if report["readings"] != rows:
        raise RuntimeError(f"{report['readings']} of {rows} readings were read")
    return elapsed_s


def _line_protocol(csv: Path) -> list[bytes]:
    """Return a line for each meter and half hour."""
    table = (
        pl.scan_csv(csv, infer_schema=False)
        .select(
            pl.col("meter"),
            at=pl.col("starts_at").str.head(19).str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s"),
            wh=(pl.col("kWh").str.strip_chars().cast(pl.Float64, strict=False) * 1000).round(),
        )
        .drop_nulls()
        .unique(["meter", "at"], keep="last", maintain_order=True)
        .select(pl.format("energy,meter={} wh={}i {}", "meter", pl.col("wh").cast(pl.Int64), "at"))
        .collect()
    )
    return [line.encode() for line in table.to_series().to_list()]


def _one_csv(folder: Path) -> tuple[Path, int]:
    homes = folder / "homes"
    homes.mkdir()
    rows = make_homes(homes)
    path = folder / "all.csv"
    with path.open("wb") as out:
        out.write(b"meter,starts_at,kWh\n")
        for number, home in enumerate(sorted(homes.iterdir()), start=1):
            body = home.read_bytes().split(b"\n", 1)[1]
            out.write(body.replace(b"MAC%06d" % number, b"%d" % number).replace(b" ,", b","))
    return path, rows


def _one_parquet(folder: Path) -> Path:
    days = 365
    homes = -(-PARQUET_READINGS // (days * 48))
    starts = 1_672_531_200 + np.arange(days * 48) * 1800
    amounts = np.random.default_rng(1).integers(0, 3_000, homes * len(starts)) / 1000
    table = pl.DataFrame(
        {
            "meter_id": np.repeat(np.arange(1, homes + 1), len(starts)),
            "starts_at": pl.Series(np.tile(starts, homes) * 1000).cast(pl.Datetime("ms", "UTC")),
            "kWh": amounts,
        }
    ).head(PARQUET_READINGS)
    path = folder / "ten_million.parquet"
    table.write_parquet(path)
    return path


def _imported(path: Path, data_dir: Path) -> _Import:
    environment = {**os.environ, "METERBOOK_DATA_DIR": str(data_dir)}
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, sys.executable, "-m", "meterbook", "import", str(path)],
        check=True, env=environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    elapsed_s = time.perf_counter() - begin
    processor_s, memory_kib = json.loads(done.stdout)
    return _Import(
        elapsed_s,
        processor_s,
        memory_kib << 10,
        sum(file.stat().st_blocks * 512 for file in data_dir.glob("meterbook.sqlite*")),
    )


if __name__ == "__main__":
    show(figures())
