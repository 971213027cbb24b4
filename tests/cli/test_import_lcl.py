"""Many London files at once: groups, large files, several homes and conflicts between files."""

from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from books import ledger_content
from imports import imported, refused, totals
from meterbook.cli import import_lcl as importing
from meterbook.cli.import_lcl import import_lcl
from meterbook.intake.files import lcl
from meterbook.intake.files.csv_parts import csv_parts
from meterbook.storage.database import Database
from meterbook.storage.tables import superseded_readings

HEADER = "LCLid,tstp,energy(kWh/hh)\n"


def homes(path: Path, numbers: range, *, first_wh: int = 0) -> Path:
    rows = [
        f"MAC{number:06d},2013-01-{day:02d} {half // 2:02d}:{half % 2 * 30:02d}:00,"
        f"{(first_wh + number + half) / 1000}\n"
        for number in numbers
        for day in range(1, 5)
        for half in range(48)
    ]
    path.write_text(HEADER + "".join(rows))
    return path


def test_a_large_file_is_checked_and_then_stored_in_parts(
    database: Database,
    second_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = homes(tmp_path / "all.csv", range(1, 12))
    imported(import_lcl, second_database, path)
    monkeypatch.setattr(importing, "PART_BYTES", 1_000)
    monkeypatch.setattr(lcl, "csv_parts", partial(csv_parts, part_bytes=20_000))

    lines = imported(import_lcl, database, path)

    assert ledger_content(database) == ledger_content(second_database)
    assert "44 new days, 0 revised days" in lines[-1]


def test_a_large_file_that_is_wrong_in_its_last_line_stores_nothing(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = homes(tmp_path / "all.csv", range(1, 12))
    with path.open("a") as file:
        file.write("MAC000099,2013-01-01 00:00:00,broken\n")
    monkeypatch.setattr(importing, "PART_BYTES", 1_000)
    monkeypatch.setattr(lcl, "csv_parts", partial(csv_parts, part_bytes=20_000))

    [line] = refused(import_lcl, sqlite_database, path)

    assert "line 2114, column 31" in line
    assert totals(sqlite_database) == {}


@pytest.mark.parametrize("readings_per_commit", [1, 300, 1_000_000])
def test_the_last_of_two_files_counts_however_files_share_transactions(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    readings_per_commit: int,
) -> None:
    monkeypatch.setattr(importing, "READINGS_PER_COMMIT", readings_per_commit)
    files = [
        homes(tmp_path / "a.csv", range(1, 3)),
        homes(tmp_path / "b.csv", range(2, 4), first_wh=1),
    ]

    lines = imported(import_lcl, database, *files)

    assert len(lines) == 3
    half_hours = sum(range(48))
    assert sorted(set(totals(database).values())) == [
        48 + half_hours,
        48 * 3 + half_hours,
        48 * 4 + half_hours,
    ]
    with database.reading() as connection:
        kept = connection.scalar(sa.select(sa.func.count()).select_from(superseded_readings))
    assert kept == 4 * 48
