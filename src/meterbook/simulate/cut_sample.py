"""
Cuts the sample that ships with Meterbook out of the published Low Carbon London files.

    python -m meterbook.simulate.cut_sample FOLDER

FOLDER holds MAC000002.csv, MAC000003.csv and MAC000004.csv somewhere below it; what comes out is
their year 2013 in whole Wh. `Null` rows and rows off the half-hour grid are left out, so that such
a half hour stays missing; a stamp is the start of its half hour, in GMT all year.
"""

import csv
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from meterbook.domain.readings import HALF_HOUR_S
from meterbook.domain.units import kwh_to_wh
from meterbook.simulate.real_homes import SAMPLE_FILE

HOMES = ("MAC000002", "MAC000003", "MAC000004")
_BEGINS_AT = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp())
_ENDS_AT = int(datetime(2014, 1, 1, tzinfo=UTC).timestamp())


def cut_sample(folder: Path) -> pl.DataFrame:
    """
    Return one row per half hour of 2013 and one column of Wh per home, null where missing.

    :raises FileNotFoundError: if a home's file is not below the folder.
    """
    starts = range(_BEGINS_AT, _ENDS_AT, HALF_HOUR_S)
    columns = {"starts_at": pl.Series(list(starts), dtype=pl.Int64)}
    for name in HOMES:
        found = sorted(folder.rglob(f"{name}.csv"))
        if not found:
            raise FileNotFoundError(f"{name}.csv is not below {folder}")
        energy_wh = _home_year_wh(found[0])
        columns[name] = pl.Series([energy_wh.get(start) for start in starts], dtype=pl.Int32)
    return pl.DataFrame(columns)


def _home_year_wh(file: Path) -> dict[int, int]:
    energy_wh: dict[int, int] = {}
    with file.open(newline="", encoding="ascii") as rows:
        for _home, stamp, energy in list(csv.reader(rows))[1:]:
            # Seven digits of a second are more than Python's fromisoformat takes.
            starts_at = int(datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp())
            if energy.strip() != "Null" and starts_at % HALF_HOUR_S == 0:
                energy_wh[starts_at] = kwh_to_wh(Decimal(energy.strip()))
    return energy_wh


def main() -> None:
    """Write the sample into the package."""
    sample = cut_sample(Path(sys.argv[1]))
    sample.write_parquet(SAMPLE_FILE, compression="zstd", compression_level=19, statistics=False)
    sys.stdout.write(f"{SAMPLE_FILE}: {SAMPLE_FILE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
