"""The Irish file: END stamps on a local clock, newest first, kW hidden in the read type."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from meterbook.domain.readings import Flow
from meterbook.intake.files.parsed import Series
from parsing import read_file

HEADER = "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n"


def hdf(path: Path, *rows: str, kind: str = "Active Import Interval (kW)") -> Path:
    lines = [f"10012345678,1,{row.split(',')[1]},{kind},{row.split(',')[0]}\n" for row in rows]
    path.write_text(HEADER + "".join(lines))
    return path


def test_the_real_file_adds_up_to_the_bills_of_its_supplier(shared_data: Path) -> None:
    folder = shared_data / "irish_hdf_tariff_acceptance"
    rows = read_file(folder / "HDF_2023-06_kW.csv").rows[Series("mprn", "")]
    reports = msgspec.json.decode((folder / "expected_dev.json").read_bytes())
    months = {row[0]: row[2] for row in reports[0]["expected"]["Month"]["rows"]}
    local = rows.starts_at + np.where(rows.starts_at >= 1_679_792_400, 3600, 0)  # 26 March 2023
    for month, energy_kwh in months.items():
        begin = np.datetime64(month).astype("datetime64[s]").astype(int)
        end = (np.datetime64(month) + 1).astype("datetime64[s]").astype(int)
        own = rows.amount[(local >= begin) & (local < end)]
        # Each day's running total is rounded to 1 Wh, so a month is off by a few Wh at most.
        assert own.sum() / 1000 == pytest.approx(energy_kwh, abs=0.005), month
    assert rows.amount.sum() / 1000 == pytest.approx(sum(months.values()), abs=0.02)


def test_the_clock_going_forward_leaves_no_gap(shared_data: Path) -> None:
    read = read_file(shared_data / "irish_hdf_tariff_acceptance" / "HDF_2023-06_kW.csv")
    starts = np.sort(read.rows[Series("mprn", "")].starts_at)
    assert set(np.diff(starts).tolist()) == {1800}
    assert read.reasons == []


@pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "oldest first"])
def test_the_clock_going_back_shows_an_hour_twice(tmp_path: Path, *, newest_first: bool) -> None:
    stamps = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00", "02:30"]
    rows = [f"29-10-2023 {stamp},{n}" for n, stamp in enumerate(stamps, start=1)]
    file = hdf(tmp_path / "a.csv", *(reversed(rows) if newest_first else rows))

    read = read_file(file)

    [(series, found)] = read.rows.items()
    order = np.argsort(found.starts_at)
    assert (series.name, series.flow) == ("10012345678", Flow.IMPORT)
    assert found.amount[order].tolist() == [n * 500 for n in range(1, 8)]
    first = 1_698_534_000  # 2023-10-28T23:00:00Z: 00:00 summer time
    assert found.starts_at[order].tolist() == [first + 1800 * n for n in range(7)]
    assert any("has twice" in note for note in read.summary.notes)


def test_a_time_the_clock_skips_is_rejected(tmp_path: Path) -> None:
    read = read_file(hdf(tmp_path / "a.csv", "26-03-2023 00:30,1", "26-03-2023 01:30,1"))
    assert read.reasons == [(3, "has a time that the clock of Europe/Dublin skips")]


def test_kwh_and_kw_are_told_apart_and_dial_reads_left_out(tmp_path: Path) -> None:
    as_kwh = hdf(tmp_path / "a.csv", "02-06-2023 08:30,0.25", kind="Active Import Interval (kWh)")
    assert read_file(as_kwh).energies() == {"10012345678 import": 0.25}
    dials = hdf(tmp_path / "b.csv", "02-06-2023 00:00,12345", kind="24 hr Active Import Register")
    assert read_file(dials).left_out == {"24 hr Active Import Register": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("32-06-2023 08:30,1", "stamp"),
        ("02-06-2023 08:30,x", "no number"),
        ("02-06-2023 08:30,1e99", "no home"),
        ("02-06-2023 08:30,nan", "no number"),
        ("02-06-2023 08:30,-1", "below 0"),
    ],
)
def test_a_wrong_row_is_rejected(tmp_path: Path, row: str, reason: str) -> None:
    [(line, told)] = read_file(hdf(tmp_path / "a.csv", row)).reasons
    assert line == 2
    assert reason in told


def test_rows_that_are_there_twice_are_rounded_alike(tmp_path: Path) -> None:
    header = "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n"
    rows = "".join(
        f"10000000001,1,0.417,Active Import Interval (kW),02-06-2023 {hour:02d}:{minute}\n"
        for hour in range(23, 0, -1)
        for minute in ("30", "00")
    )
    (tmp_path / "once.csv").write_text(header + rows)
    (tmp_path / "twice.csv").write_text(header + rows + rows)
    once, twice = (read_file(tmp_path / name) for name in ("once.csv", "twice.csv"))
    assert (twice.summary.repeated, twice.summary.conflicts) == (46, 0)
    assert once.energies() == twice.energies()
