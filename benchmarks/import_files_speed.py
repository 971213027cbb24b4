"""
How fast `meterbook import` takes readings of many homes out of one CSV and one Parquet file.

The CSV is a year of 100 homes made of the real London ones (1.7 million readings), the Parquet file
ten million readings. Runs the command itself on an empty SQLite book: the figures include starting
Python, making the database, checking every row and committing to disk; "without start-up" takes off
what the command needs for a file with one reading. Memory is the peak of the process, processor
time that of both cores. Where Debian's `influxdb` and `victoria-metrics` are installed, they get
the same readings in the same run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from benchmarks.figures import Figure, show
from benchmarks.import_speed import make_homes
from benchmarks.other_databases import influxdb, victoria_metrics

PARQUET_READINGS = 10_000_000
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
        single.write_text("meter,starts_at,kWh\n1,2013-01-01 00:00:00,0.1\n", encoding="ascii")
        idle = _imported(single, folder / "idle")
        csv, rows = _one_csv(folder)
        from_csv = _imported(csv, folder / "csv")
        parquet = _imported(_one_parquet(folder), folder / "parquet")
        others = _of_others(csv, folder, from_csv)
    return _of_csv(from_csv, idle, rows) + _of_parquet(parquet) + others


def _of_csv(csv: _Import, idle: _Import, rows: int) -> list[Figure]:
    name = "CSV, 100 homes x 1 year"
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


def _of_others(csv: Path, folder: Path, ours: _Import) -> list[Figure]:
    lines = _line_protocol(csv)
    found: list[Figure] = []
    for name, write, aim in (
        ("InfluxDB 1.6, fsync each request", influxdb, 3.0),
        ("VictoriaMetrics, no fsync", victoria_metrics, None),
    ):
        place = folder / write.__name__
        place.mkdir()
        theirs = write(lines, place)
        if theirs is None:
            continue
        if theirs.stored != len(lines):
            raise RuntimeError(f"{name} holds {theirs.stored} of {len(lines)} readings")
        ratio = theirs.seconds / ours.elapsed_s
        found += [
            Figure(f"{name}: same readings", "readings/s", [len(lines) / theirs.seconds]),
            Figure(f"{name}: on disk", "bytes/reading", [theirs.disk_bytes / len(lines)]),
            Figure(f"Meterbook with start-up against {name}", "times as fast", [ratio], aim),
        ]
    return found


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
