"""
How fast `meterbook import --format lcl` takes a year of 100 homes into closed days.

Makes the files from the real London homes in ../shared/data, one a home, and runs the command
itself on an empty SQLite book: the figures include starting Python, making the database, checking
every row and committing to disk. Prints the median of five runs; "without start-up" takes off what
the command needs to import a file without rows.
"""

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Run and print."""
    folder = Path(tempfile.mkdtemp(prefix="meterbook-import-"))
    try:
        homes = folder / "homes"
        homes.mkdir()
        rows = make_homes(homes)
        nothing = folder / "nothing.csv"
        nothing.write_text("LCLid,tstp,energy(kWh/hh)\n", encoding="ascii")
        seconds, idle = [], []
        for run in range(RUNS):
            idle.append(import_once(nothing, folder / f"idle{run}"))
            seconds.append(import_once(homes / "*.csv", folder / f"run{run}"))
        size, readings = stored_bytes(folder / "run0")
        median = statistics.median(seconds)
        work = median - statistics.median(idle)
        print(f"import: {rows} rows of {HOMES} homes, median of {RUNS} runs")
        print(f"  whole command     {median:6.2f} s  {rows / median:12,.0f} readings/s")
        print(f"  without start-up  {work:6.2f} s  {rows / work:12,.0f} readings/s")
        print(f"  SQLite file       {size / readings:6.2f} bytes a reading")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
