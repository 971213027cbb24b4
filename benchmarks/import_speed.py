"""
How fast `meterbook import --format lcl` takes a year of 100 homes into closed days.

Makes the files from the real London homes in ../shared/data, one a home, and runs the command
itself on an empty SQLite book: the figures include starting Python, making the database, checking
every row and committing to disk. Prints the median of five runs; "without start-up" takes off what
the command needs to import a file without rows.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, repeated, show

RUNS = 5
HOMES = 100
SOURCES = (
    "lcl_2013_100meters/MAC000003.csv",
    "lcl_2013_100meters/MAC000004.csv",
    "lcl_raw_mac000002/MAC000002.csv",
)
YEAR = ",2013-"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def make_homes(folder: Path) -> int:
    """Write the files and return the number of rows in them."""
    rows = 0
    sources = [_year_2013(SHARED_DATA / name) for name in SOURCES]
    for number in range(1, HOMES + 1):
        home, lines = sources[number % len(sources)]
        text = "\n".join(lines).replace(home, f"MAC{number:06d}")
        path = folder / f"MAC{number:06d}.csv"
        path.write_text(f"LCLid,tstp,energy(kWh/hh)\n{text}\n", encoding="ascii")
        rows += len(lines)
    return rows


def _year_2013(path: Path) -> tuple[str, list[str]]:
    lines = path.read_text(encoding="ascii").splitlines()[1:]
    return path.stem, [line for line in lines if YEAR in line]


def import_once(files: Path, data_dir: Path) -> float:
    """Import the files into an empty book and return how long the command took, in seconds."""
    environment = {**os.environ, "METERBOOK_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "meterbook", "import", str(files)]
    begins = time.perf_counter()
    subprocess.run(
        [*command, "--format", "lcl"], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begins


def stored_bytes(data_dir: Path) -> tuple[int, int]:
    """Return the size of the SQLite file and how many readings its closed days hold."""
    file = data_dir / "meterbook.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        days, missing = connection.execute("SELECT count(*), sum(missing) FROM ledger").fetchone()
    connection.close()
    return file.stat().st_size, days * 48 - missing


def measure(homes: Path, rows: int) -> dict[str, float]:
    """Import once into an empty book and return the figures of this run."""
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        nothing = Path(folder) / "nothing.csv"
        nothing.write_text("LCLid,tstp,energy(kWh/hh)\n", encoding="ascii")
        idle_s = import_once(nothing, Path(folder) / "idle")
        whole_s = import_once(homes / "*.csv", Path(folder) / "book")
        size, readings = stored_bytes(Path(folder) / "book")
    return {
        "whole": rows / whole_s,
        "work": rows / max(whole_s - idle_s, 0.001),
        "bytes": size / readings,
    }


def figures() -> list[Figure]:
    """Make the homes, measure, and return what was found."""
    with tempfile.TemporaryDirectory(prefix="meterbook-homes-") as folder:
        rows = make_homes(Path(folder))
        found = repeated(RUNS, lambda: measure(Path(folder), rows))
    return [
        Figure("import of files, with start-up", "readings/s", found["whole"], aim=1_500_000),
        Figure("import of files, without start-up", "readings/s", found["work"], aim=1_500_000),
        Figure("imported, SQLite file", "bytes/reading", found["bytes"], 2.3, lower_is_better=True),
    ]


if __name__ == "__main__":
    show(figures())
