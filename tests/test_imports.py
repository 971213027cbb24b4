"""A file from its path into the books: found meters, one path for every format, all or nothing."""

import os
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from books import ledger_content, rows_in
from meterbook.domain.import_reports import ImportReport
from meterbook.domain.local_days import local_time, numbered_day
from meterbook.domain.reading_columns import reading_columns
from meterbook.domain.readings import Flow, Quality
from meterbook.imports import ImportRequest, run, run_import
from meterbook.imports.parts import whole_days
from meterbook.intake.files.csv_mapping import CsvMapping
from meterbook.intake.files.parsed import FilePart, ParseOptions, Series
from meterbook.ledger import decode_intervals
from meterbook.registry.foreign_ids import names_of
from meterbook.registry.import_log import logged_imports
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.file_tables import foreign_ids, imports
from meterbook.storage.tables import (
    channels,
    daybook,
    installations,
    ledger,
    meter_keys,
    meters,
)

NOW = 1_790_000_000
REQUEST = ImportRequest(parse=ParseOptions(now=NOW), zone="UTC")
TWO_DAYS = "meter,starts_at,kWh\n" + "".join(
    f"{meter},2024-02-{day:02d}T{hour:02d}:{minute}:00Z,{hour / 10}\n"
    for meter in (7, 8)
    for day in (1, 2)
    for hour in range(24)
    for minute in ("00", "30")
)


def stored(database: Database, path: Path, **changes: object) -> ImportReport:
    report = run_import(database, path, msgspec.structs.replace(REQUEST, **changes))
    assert report.status == "stored", report.problem
    return report


def refused(database: Database, path: Path, **changes: object) -> str:
    report = run_import(database, path, msgspec.structs.replace(REQUEST, **changes))
    assert report.status == "refused"
    assert rows_in(database, ledger, daybook, meters, foreign_ids, imports) == [0] * 5
    return report.problem or ""


def days_of(database: Database, meter_id: int, flow: Flow) -> dict[str, tuple[int, int]]:
    """Return day to energy and number of intervals."""
    with database.reading() as connection:
        point = sa.select(installations.c.meter_point_id).where(
            installations.c.meter_id == meter_id
        )
        rows = connection.execute(
            sa.select(ledger.c.day, ledger.c.energy, ledger.c.intervals)
            .join(channels, channels.c.id == ledger.c.channel_id)
            .where(channels.c.meter_point_id.in_(point), channels.c.flow == int(flow))
        )
        return {
            numbered_day(row.day).isoformat(): (
                row.energy,
                len(decode_intervals(row.intervals)),
            )
            for row in rows
        }


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_same_file_twice_changes_nothing(database: Database, tmp_path: Path) -> None:
    file = written(tmp_path, TWO_DAYS)
    first = stored(database, file)
    content = ledger_content(database)
    second = stored(database, file)
    assert (first.new_days, first.readings) == (4, 192)
    assert (second.new_days, second.revised_days, second.differing) == (0, 0, 0)
    assert ledger_content(database) == content
    with database.reading() as connection:
        assert [entry.report.new_days for entry in logged_imports(connection)] == [0, 4]


def test_a_dry_run_reports_the_same_and_stores_nothing(database: Database, tmp_path: Path) -> None:
    file = written(tmp_path, TWO_DAYS)
    dry = run_import(database, file, msgspec.structs.replace(REQUEST, dry_run=True))
    assert rows_in(database, ledger, meters, imports) == [0, 0, 0]
    real = stored(database, file)
    assert msgspec.structs.replace(real, status="checked") == dry


def test_a_different_value_counts_and_the_books_is_kept(database: Database, tmp_path: Path) -> None:
    stored(database, written(tmp_path, TWO_DAYS))
    changed = written(tmp_path, TWO_DAYS.replace("T05:30:00Z,0.5", "T05:30:00Z,9"), "b.csv")
    report = stored(database, changed)
    assert (report.differing, report.revised_days, report.new_days) == (4, 4, 0)
    assert days_of(database, 7, Flow.IMPORT)["2024-02-01"] == (55_200 - 500 + 9_000, 48)


def test_one_wrong_line_refuses_the_file_unless_a_part_is_asked_for(
    database: Database, tmp_path: Path
) -> None:
    file = written(tmp_path, TWO_DAYS + "7,2024-02-03T00:00:00Z,x\n")
    assert refused(database, file) == f"{file}: line 194, column 1: has no number in column 'kWh'"
    report = stored(database, file, partial=True)
    assert (report.readings, report.rejected, report.new_days) == (192, 1, 4)


def test_a_foreign_name_gets_a_meter_that_takes_no_packets(
    database: Database, shared_data: Path
) -> None:
    folder = shared_data / "nem12_examples" / "examples" / "unzipped"
    report = stored(database, folder / "Example_NEM12_month_solar.csv", zone="Australia/Brisbane")
    [fed_in, used] = report.series
    assert (used.meter_id, fed_in.meter_id, used.is_new) == (900_000_001, 900_000_001, True)
    march = days_of(database, 900_000_001, Flow.IMPORT)
    assert len(march) == 31
    assert {count for _, count in march.values()} == {288}
    assert sum(energy for energy, _ in march.values()) == 270_738
    given = days_of(database, 900_000_001, Flow.EXPORT)
    assert sum(energy for energy, _ in given.values()) == 589_172
    with database.reading() as connection:
        assert names_of(connection, meter_id=900_000_001) == [("nmi", "NMI1234567")]
        assert connection.scalar(sa.select(meter_keys.c.key_hash)) == "no packets"
    again = stored(database, folder / "Example_NEM12_month_solar.csv")
    assert (again.new_days, again.revised_days, again.series[0].is_new) == (0, 0, False)


def test_a_file_that_names_no_meter_is_told_one(database: Database, shared_data: Path) -> None:
    file = shared_data / "irish_hdf_tariff_acceptance" / "HDF_2023-06_kW.csv"
    assert "names no meter" in refused(database, file)
    report = stored(database, file, meters={"": 12}, zone="Europe/Dublin")
    assert {one.meter_id for one in report.series} == {12}
    days = days_of(database, 12, Flow.IMPORT)
    assert days["2023-03-26"][1] == 46
    assert sum(energy for energy, _ in days.values()) == pytest.approx(2_426_260, abs=20)


def test_the_irish_hour_that_is_there_twice_makes_a_day_of_50(
    database: Database, tmp_path: Path
) -> None:
    begin = 1_698_534_000  # 2023-10-29 00:00 in Dublin
    rows = [
        f"10012345678,1,{slot},Active Import Interval (kW),"
        f"{local_time(begin + 1800 * (slot + 1), ZoneInfo('Europe/Dublin')):%d-%m-%Y %H:%M}\n"
        for slot in range(50)
    ]
    header = "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n"
    file = written(tmp_path, header + "".join(reversed(rows)))
    report = stored(database, file, meters={"": 12}, zone="Europe/Dublin")
    assert (report.format, report.readings, report.repeated, report.conflicts) == ("hdf", 50, 0, 0)
    assert any("has twice" in note for note in report.notes)
    assert days_of(database, 12, Flow.IMPORT) == {"2023-10-29": (sum(range(50)) * 500, 50)}


def test_a_named_meter_keeps_the_name_it_was_told(database: Database, shared_data: Path) -> None:
    file = shared_data / "nem12_examples/examples/unzipped/Example_NEM12_actual_interval.csv"
    stored(database, file, meters={"VABD000163": 5})
    assert stored(database, file).series[0].meter_id == 5
    report = run_import(database, file, msgspec.structs.replace(REQUEST, meters={"": 6}))
    assert report.problem == f"{file}: nmi VABD000163 is meter 5 already"


def test_a_household_writes_its_own_meters_only(database: Database, tmp_path: Path) -> None:
    with database.writing() as connection:
        add_meters(connection, [7], zone="UTC", now=NOW)
    request = msgspec.structs.replace(REQUEST, own_meters=frozenset({7}))
    file = written(tmp_path, TWO_DAYS)
    report = run_import(database, file, request)
    assert report.status == "refused"
    assert "not yours (8)" in (report.problem or "")
    foreign = written(tmp_path, TWO_DAYS.replace("7,", "house,").replace("8,", "shed,"), "b.csv")
    assert "not yours (house, shed)" in (run_import(database, foreign, request).problem or "")
    own = written(tmp_path, "\n".join(TWO_DAYS.splitlines()[:97]), "c.csv")
    assert run_import(database, own, request).status == "stored"


@pytest.mark.parametrize(
    ("own", "quality"),
    [(frozenset({7}), Quality.RAW), (None, Quality.EDITED)],
    ids=["household", "operator"],
)
def test_a_household_s_file_makes_no_edits(
    database: Database, tmp_path: Path, own: frozenset[int] | None, quality: Quality
) -> None:
    with database.writing() as connection:
        add_meters(connection, [7], zone="UTC", now=NOW)
    file = written(tmp_path, "meter,starts_at,kWh,quality\n7,2024-02-01T00:00:00Z,0.5,edited\n")

    stored(database, file, own_meters=own)

    with database.reading() as connection:
        assert list(connection.scalars(sa.select(ledger.c.quality))) == [quality]


def test_two_households_may_call_their_meters_the_same(database: Database, tmp_path: Path) -> None:
    with database.writing() as connection:
        add_meters(connection, [7, 8], zone="UTC", now=NOW)
    file = written(tmp_path, "meter,starts_at,kWh\nhouse,2024-02-01T00:00:00Z,0.5\n")

    for meter_id in (7, 8):
        own = frozenset({meter_id})
        report = stored(database, file, own_meters=own, meters={"house": meter_id})
        assert report.series[0].meter_id == meter_id
    # What either said of it is nothing to a file of many homes.
    assert stored(database, file).series[0].meter_id == 900_000_001
    assert stored(database, file, own_meters=frozenset({7}), meters={"": 7}).series[0].meter_id == 7


def test_a_large_file_is_stored_in_parts_with_the_same_result(
    database: Database, second_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, TWO_DAYS)
    stored(second_database, file)
    monkeypatch.setattr(run, "HELD_READINGS_MAX", 10)
    monkeypatch.setattr("meterbook.intake.files.csv_files.PART_BYTES", 700)
    monkeypatch.setattr("meterbook.intake.files.parsed.PART_READINGS", 20)
    report = stored(database, file)
    assert (report.readings, report.series_count) == (192, 2)
    # No day is closed with one part and revised with the next.
    assert (report.new_days, report.revised_days) == (4, 0)
    assert ledger_content(database) == ledger_content(second_database)


@settings(deadline=None)
@given(
    st.lists(st.integers(3, 40), min_size=1, max_size=12),
    st.sampled_from(["by meter", "by time", "newest first"]),
)
def test_parts_are_cut_between_days_and_lose_nothing(sizes: list[int], order: str) -> None:
    rows = [(meter, 1_706_745_600 + 1800 * slot) for meter in (0, 1, 2) for slot in range(96)]
    if order != "by meter":
        rows.sort(key=lambda row: row[1], reverse=order == "newest first")
    series = [Series("csv", name) for name in "abc"]

    def parts() -> Iterator[FilePart]:
        left = rows
        while left:
            size = sizes[len(left) % len(sizes)]
            table, left = np.array(left[:size], dtype=np.int64), left[size:]
            readings = reading_columns(table[:, 0], table[:, 1], table[:, 1])
            yield FilePart(series, readings, [], 0, {}, [])

    found: list[list[tuple[str, int]]] = []
    for part in whole_days(parts(), zone="UTC"):
        names = [part.series[source].name for source in part.readings.source.tolist()]
        found.append(list(zip(names, part.readings.starts_at.tolist(), strict=True)))
    assert sorted(row for part in found for row in part) == sorted(
        ("abc"[meter], start) for meter, start in rows
    )
    days = [{(name, start // 86_400) for name, start in part} for part in found]
    assert sum(map(len, days)) == len(set().union(*days)) == 6


def test_days_on_another_grid_are_refused_and_not_dropped(
    database: Database, shared_data: Path
) -> None:
    file = shared_data / "green_button_espi" / "ESPIIntervalBlock.xml"
    parse = ParseOptions(now=NOW, unit="wh")
    assert "do not begin with an interval" in refused(database, file, parse=parse)
    report = stored(database, file, parse=parse, zone="America/New_York")
    days = days_of(database, report.series[0].meter_id or 0, Flow.IMPORT)
    assert (len(days), {count for _, count in days.values()}) == (444, {1})
    assert sum(energy for energy, _ in days.values()) == 9_917_817


def test_a_large_file_that_is_refused_late_says_what_is_stored(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.writing() as connection:
        add_meters(connection, [8], zone="Asia/Kathmandu", now=NOW)
    monkeypatch.setattr(run, "HELD_READINGS_MAX", 10)
    monkeypatch.setattr("meterbook.intake.files.csv_files.PART_BYTES", 700)
    monkeypatch.setattr("meterbook.intake.files.parsed.PART_READINGS", 20)
    report = run_import(database, written(tmp_path, TWO_DAYS), REQUEST)
    assert report.status == "refused"
    assert rows_in(database, ledger) == [2]
    assert (report.problem or "").endswith("; the 96 readings before them are stored")


def test_hours_count_beside_the_total_of_their_day(database: Database, tmp_path: Path) -> None:
    clocks = [f"2024-02-01T{hour:02d}:00Z" for hour in range(24)] + ["2024-02-02T00:00Z"]
    hours = "".join(f"7,{start},{end},1\n" for start, end in pairwise(clocks))
    total = "7,2024-02-01T00:00Z,2024-02-02T00:00Z,24\n"
    for name, rows in (("a.csv", hours + total), ("b.csv", total + hours)):
        stored(database, written(tmp_path, "meter,start,end,kWh\n" + rows, name))
        with database.reading() as connection:
            [row] = connection.execute(sa.select(ledger.c.intervals)).all()
        assert decode_intervals(row.intervals) == [1_000] * 24


def test_today_is_summed_up_to_the_meters_half_hours(database: Database, tmp_path: Path) -> None:
    rows = [
        f"2026-09-21 {hour:02d}:{minute:02d},1\n" for hour in (0, 1) for minute in range(0, 60, 15)
    ]
    file = written(tmp_path, "stamp,kWh\n" + "".join(rows) + "2026-09-21 02:00,1\n")
    now = 1_790_000_000  # 2026-09-21 14:13 UTC
    report = stored(database, file, meters={"": 3}, parse=ParseOptions(now=now))
    assert (report.open_readings, report.unplaced, report.new_days) == (4, 1, 0)
    with database.reading() as connection:
        assert connection.scalars(sa.select(daybook.c.amount)).all() == [2000] * 4


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"", "is empty"),
        ("a.bin", bytes(range(256)), "of no format that is known"),
        ("a.zip", b"PK\x03\x04 no archive", "cannot be unpacked"),
        ("a.gz", b"\x1f\x8b no archive", "cannot be unpacked"),
        ("a.csv", b"a,b\n1,2\n", "no column of dates"),
        ("a.parquet", b"PAR1 no parquet", "not Parquet"),
        ("a.csv", b"100,NEM12,2004,A,B\n900\n", "holds no readings"),
    ],
)
def test_a_file_that_is_none_is_refused(
    sqlite_database: Database, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert problem in refused(sqlite_database, tmp_path / name)


def test_the_zone_of_new_meters_decides_where_their_days_begin(
    database: Database, tmp_path: Path
) -> None:
    file = written(tmp_path, "stamp,kWh\n2024-07-01 00:00,1\n2024-07-01 00:30,1\n")
    parse = ParseOptions(now=NOW, stamps_zone=ZoneInfo("Europe/Berlin"), mapping=CsvMapping())
    stored(database, file, parse=parse, zone="Europe/Berlin", meters={"": 4})
    assert days_of(database, 4, Flow.IMPORT) == {"2024-07-01": (2000, 48)}


def packed(folder: Path, **members: str) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_what_is_no_meter_file_is_passed_over_in_an_archive(
    database: Database, tmp_path: Path
) -> None:
    readme = "Your readings, in half hours, as of 2024-02-03.\nThank you, bye.\n"
    path = packed(tmp_path, readme__txt=readme, a__csv=TWO_DAYS, b__json="{}", c__txt="")
    report = stored(database, path)
    assert (report.readings, report.format) == (192, "csv")
    assert "passed over, no meter file: readme.txt, b.json, c.txt" in report.notes


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"readme__txt": "Hello, you."}, "readme.txt: line 1"),
        ({"a__csv": TWO_DAYS, "b__csv": "Hello, you."}, "b.csv: line 1"),
        ({"a__csv": TWO_DAYS, "b__csv": ""}, "b.csv: line 1, column 1: is empty"),
        ({"a__csv": TWO_DAYS, "b__txt": TWO_DAYS + "7,never,1\n"}, "has no date or time"),
        ({"a__csv": TWO_DAYS, "b__zip": "PK"}, "b.zip: line 1"),
        ({"a__csv": TWO_DAYS, "b__xml": "<feed xmlns='http://naesb.org/espi'>"}, "b.xml: line 1"),
    ],
)
def test_an_archive_with_nothing_known_or_something_broken_is_refused(
    database: Database, tmp_path: Path, members: dict[str, str], problem: str
) -> None:
    assert problem in refused(database, packed(tmp_path, **members))


def test_a_file_is_logged_by_whatever_name_it_has(database: Database, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/z\xe4hler.csv"))
    path.write_text(TWO_DAYS)
    assert stored(database, path).file == f"{tmp_path}/z?hler.csv"
    assert stored(database, path, file_name="a\x00b.csv").file == "a?b.csv"
    with database.reading() as connection:
        logged = [one.report.file for one in logged_imports(connection)]
    assert logged == ["a?b.csv", f"{tmp_path}/z?hler.csv"]


def test_a_meters_name_may_be_padded_with_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "edifact"
    path.write_bytes(
        b"UNA:+.? 'UNB+UNOC:3'UNH+1+MSCONS:D'LOC+172+DE1\x00\x00'PIA+5+1-1?:1.29.0:SRW'QTY+220:1'"
        b"DTM+163:202401010000?+00:303'DTM+164:202401010030?+00:303'UNT+1'UNZ+1'"
    )
    [series] = stored(database, path).series
    assert series.name == "DE1"
