"""Many London files at once: groups, large files, several homes and conflicts between files."""

from functools import partial
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from books import ledger_content
from imports import REQUEST, imported, refused, totals
from meterbook.imports import many, run, run_import, run_imports
from meterbook.intake.files import lcl
from meterbook.intake.files.csv_parts import csv_parts
from meterbook.registry.import_log import logged_imports
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
    imported("lcl", second_database, path)
    monkeypatch.setattr(run, "HELD_READINGS_MAX", 100)
    monkeypatch.setattr(lcl, "csv_parts", partial(csv_parts, part_bytes=20_000))

    lines = imported("lcl", database, path)

    assert ledger_content(database) == ledger_content(second_database)
    assert "2112 readings of 11 series, 44 new days\n" in lines[-1]


def test_a_large_file_that_is_wrong_in_its_last_line_stores_nothing(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = homes(tmp_path / "all.csv", range(1, 12))
    with path.open("a") as file:
        file.write("MAC000099,2013-01-01 00:00:00,broken\n")
    monkeypatch.setattr(run, "HELD_READINGS_MAX", 100)
    monkeypatch.setattr(lcl, "csv_parts", partial(csv_parts, part_bytes=20_000))

    [line] = refused("lcl", sqlite_database, path)

    assert "line 2114, column 31" in line
    assert totals(sqlite_database) == {}


@pytest.mark.parametrize("readings_per_commit", [1, 300, 1_000_000])
def test_the_last_of_two_files_counts_however_files_share_transactions(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    readings_per_commit: int,
) -> None:
    monkeypatch.setattr(many, "READINGS_PER_COMMIT", readings_per_commit)
    files = [
        homes(tmp_path / "a.csv", range(1, 3)),
        homes(tmp_path / "b.csv", range(2, 4), first_wh=1),
    ]

    lines = imported("lcl", database, *files)

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


def test_files_stored_together_say_what_each_of_them_did(
    database: Database, second_database: Database, tmp_path: Path
) -> None:
    files = [homes(tmp_path / f"{n}.csv", range(n, n + 2)) for n in (1, 3, 5)]
    broken = tmp_path / "broken.csv"
    broken.write_text(files[0].read_text() + "MAC000001,2013-01-09 00:00:00,x\n")
    together = [files[0], broken, *files[1:]]
    request = msgspec.structs.replace(REQUEST, format="lcl")

    reports = list(run_imports(database, together, request))
    alone = [run_import(second_database, path, request) for path in together]

    assert reports == alone
    assert [report.new_days for report in reports] == [8, 0, 8, 8]
    assert ledger_content(database) == ledger_content(second_database)
    with database.reading() as connection:
        assert len(logged_imports(connection)) == 3
    again = list(run_imports(database, together, request))
    assert [report.new_days for report in again] == [0, 0, 0, 0]
    assert again == [run_import(database, path, request) for path in together]


def test_files_that_are_partly_known_are_told_apart(
    database: Database, second_database: Database, tmp_path: Path
) -> None:
    files = [homes(tmp_path / f"{n}.csv", range(n, n + 2)) for n in (1, 2, 3)]
    request = msgspec.structs.replace(REQUEST, format="lcl")
    for one in (database, second_database):
        run_import(one, files[0], request)
    homes(files[0], range(1, 3), first_wh=5)

    reports = list(run_imports(database, files, request))

    assert reports == [run_import(second_database, path, request) for path in files]
    assert [(r.new_days, r.revised_days, r.differing) for r in reports] == [
        (0, 8, 384), (4, 4, 192), (4, 0, 0)
    ]  # fmt: skip
    assert ledger_content(database) == ledger_content(second_database)


def test_the_good_lines_of_a_wrong_file_are_stored_if_asked_for(
    database: Database, tmp_path: Path
) -> None:
    path = homes(tmp_path / "a.csv", range(1, 2))
    path.write_text(path.read_text() + "MAC000001,2013-01-09 00:00:00,x\n,,\n")
    [line] = imported("lcl", database, path, partial=True)
    assert "192 readings of 1 series, 4 new days\n" in line
    assert "rejected: 2 lines\n    line 194: is not an energy in kWh, nor Null\n" in line
