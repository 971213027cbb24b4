"""
How fast `meterbook import` takes readings of many homes out of one CSV and one Parquet file.

The CSV is a year of 100 homes made of the real London ones (1.7 million readings), the Parquet file
ten million readings. Runs the command itself on an empty SQLite book: the figures include starting
Python, making the database, checking every row and committing to disk. Memory is the peak of the
process.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.figures import Figure, show
from benchmarks.import_speed import make_homes

PARQUET_READINGS = 10_000_000
DAY_S = 86_400


def figures() -> list[Figure]:
    """Run the command once on each file; the larger one is what memory is looked at for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        csv, rows = _one_csv(folder)
        csv_s, csv_bytes = _imported(csv, folder / "csv")
        parquet = _one_parquet(folder)
        parquet_s, parquet_bytes = _imported(parquet, folder / "parquet")
    csv_mib, parquet_mib = csv_bytes / (1 << 20), parquet_bytes / (1 << 20)
    return [
        Figure("CSV, one file, 100 homes x 1 year", "readings/s", [rows / csv_s], aim=2_500_000),
        Figure("CSV, peak memory", "MiB", [csv_mib], aim=1024, lower_is_better=True),
        Figure("Parquet, 10 M readings", "readings/s", [PARQUET_READINGS / parquet_s]),
        Figure("Parquet, peak memory", "MiB", [parquet_mib], aim=1024, lower_is_better=True),
    ]


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


def _imported(path: Path, data_dir: Path) -> tuple[float, int]:
    environment = {**os.environ, "METERBOOK_DATA_DIR": str(data_dir)}
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "meterbook", "import", str(path)],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    elapsed = time.perf_counter() - begin
    return elapsed, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


if __name__ == "__main__":
    show(figures())
