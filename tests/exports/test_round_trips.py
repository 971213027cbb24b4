"""Out and in again: the same book, and where a format cannot carry it, exactly what is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books_out import ALL, DAY_S, NOW, Content, content_of, fill
from callers import signed_in
from meterbook.bulk_load.loader import in_one_transaction, load_channels
from meterbook.domain.local_days import day_bounds, numbered_day, time_zone
from meterbook.domain.reading_columns import reading_columns
from meterbook.domain.readings import Flow, Quality
from meterbook.exports.formats import EXPORT_FORMATS, Written
from meterbook.exports.selection import Selection
from meterbook.imports import ImportRequest, run_import
from meterbook.intake.files.parsed import ParseOptions
from meterbook.registry.meters import add_meters, claim_meters, zones_of
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate

ESPI_QUALITIES = list(Quality)
DAYS = [19_780, 19_813, 19_814, 20_022, 20_023]  # both clock changes of 2024 are among them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trips")


@contextmanager
def fresh(folder: Path, template: Path) -> Iterator[Database]:
    file = folder / f"{np.random.default_rng().integers(1 << 60)}.sqlite"
    file.write_bytes(template.read_bytes())
    database = Database(f"sqlite:///{file}")
    try:
        yield database
    finally:
        database.close()
        file.unlink()


@st.composite
def books(draw: st.DrawFn, *, lengths_s: list[int], qualities: list[Quality]) -> Content:
    """Return some days of some meters, each with intervals of one length."""
    content: Content = {}
    zone = time_zone("Europe/London")
    keys = st.tuples(st.integers(1, 3), st.sampled_from(list(Flow)), st.sampled_from(DAYS))
    for meter_id, flow, day in draw(st.sets(keys, min_size=1, max_size=4)):
        length_s = draw(st.sampled_from(lengths_s))
        begin, end = day_bounds(numbered_day(day), zone)
        count = 1 if length_s == DAY_S else (end - begin) // length_s
        cells = st.one_of(st.none(), st.tuples(st.integers(0, 80_000), st.sampled_from(qualities)))
        few = draw(st.lists(cells, min_size=min(count, 6), max_size=min(count, 6)))
        day_cells = [few[index % len(few)] for index in range(count)]
        if any(cell is not None for cell in day_cells):
            content[meter_id, flow, day] = tuple(day_cells)
    return content


def trip(name: str, folder: Path, template: Path, content: Content) -> tuple[Content, Written]:
    """Return what is left of a book that went out in a format and came in again."""
    path = folder / f"out.{name}"
    with fresh(folder, template) as first, fresh(folder, template) as second:
        fill(first, content)
        with first.reading() as connection:
            written = EXPORT_FORMATS[name].write(connection, path, ALL, NOW)
        if written.readings == 0:
            return {}, written
        request = ImportRequest(parse=ParseOptions(now=NOW), zone="Europe/London")
        report = run_import(second, path, request)
        assert report.status == "stored", report.problem
        assert report.readings == written.readings
        return content_of(second), written


BOUNDED = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANY_LENGTH = [300, 900, 1800, 3600, DAY_S]


@BOUNDED
@given(content=books(lengths_s=ANY_LENGTH, qualities=list(Quality)))
@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_a_table_carries_the_whole_book(
    folder: Path, sqlite_template: Path, name: str, content: Content
) -> None:
    back, written = trip(name, folder, sqlite_template, content)
    assert back == content
    assert written.left_out == 0


@BOUNDED
@given(content=books(lengths_s=ANY_LENGTH, qualities=ESPI_QUALITIES))
def test_green_button_carries_the_whole_book(
    folder: Path, sqlite_template: Path, content: Content
) -> None:
    back, _ = trip("espi", folder, sqlite_template, content)
    assert back == content


AS_NEM12 = {
    Quality.ESTIMATED_LIKE_DAY: Quality.ESTIMATED_LIKE_DAY,
    Quality.ESTIMATED_INTERPOLATED: Quality.ESTIMATED_LIKE_DAY,
    Quality.EDITED: Quality.ESTIMATED_LIKE_DAY,
    Quality.QUESTIONABLE: Quality.ESTIMATED_LIKE_DAY,
}


@BOUNDED
@given(content=books(lengths_s=ANY_LENGTH, qualities=list(Quality)))
def test_nem12_loses_day_totals_and_fine_qualities_and_nothing_else(
    folder: Path, sqlite_template: Path, content: Content
) -> None:
    back, written = trip("nem12", folder, sqlite_template, content)
    carried = {
        key: tuple(
            None if cell is None else (cell[0], AS_NEM12.get(cell[1], Quality.VALID))
            for cell in cells
        )
        for key, cells in content.items()
        if len(cells) > 1
    }
    assert back == carried
    assert written.left_out == sum(len(cells) == 1 for cells in content.values())


@pytest.mark.parametrize("name", ["csv", "parquet", "espi"])
def test_each_meter_comes_back_in_its_own_zone(
    folder: Path, sqlite_template: Path, name: str
) -> None:
    zones = {1: "America/New_York", 2: "Asia/Kolkata", 3: "Europe/London"}
    path = folder / f"zones.{name}"
    with fresh(folder, sqlite_template) as first, fresh(folder, sqlite_template) as second:
        for number, zone in zones.items():
            begin, end = day_bounds(numbered_day(19_813), time_zone(zone))
            cells = tuple((7, Quality.RAW) for _ in range((end - begin) // 3600))
            fill(first, {(number, Flow.IMPORT, 19_813): cells}, zone=zone)
        with first.reading() as connection:
            EXPORT_FORMATS[name].write(connection, path, ALL, NOW)
        request = ImportRequest(parse=ParseOptions(now=NOW), zone="Pacific/Auckland")
        report = run_import(second, path, request)
        assert report.status == "stored", report.problem
        assert content_of(second) == content_of(first)
        with second.reading() as connection:
            assert zones_of(connection, zones) == zones


@pytest.mark.parametrize("name", ["csv", "parquet", "nem12", "espi", "zip"])
def test_what_comes_back_is_the_meter_it_was_and_no_energy_is_twice(
    sqlite_database: Database, tmp_path: Path, name: str
) -> None:
    cells = tuple((40 + slot, Quality.VALID) for slot in range(48))
    fill(sqlite_database, {(2, flow, 19_780): cells for flow in Flow})
    before = content_of(sqlite_database)
    path = tmp_path / f"out.{EXPORT_FORMATS[name].suffix}"
    with sqlite_database.reading() as connection:
        EXPORT_FORMATS[name].write(connection, path, ALL, NOW)
    request = ImportRequest(parse=ParseOptions(now=NOW), zone="Europe/London")
    report = run_import(sqlite_database, path, request)
    assert report.status == "stored", report.problem
    assert {(one.meter_id, one.is_new) for one in report.series} == {(2, False)}
    assert (report.new_days, report.revised_days) == (0, 0)
    # An archive holds the readings as CSV and as XML: they are told once.
    assert {(one.readings, one.energy_kwh, one.gaps) for one in report.series} == {
        (48, (48 * 40 + sum(range(48))) / 1000, 0)
    }
    assert content_of(sqlite_database) == before


@pytest.mark.parametrize("name", ["csv", "parquet", "nem12", "espi", "zip"])
@pytest.mark.parametrize("chosen", ["account", "region"])
def test_an_account_and_a_region_leave_alone_and_come_back(
    sqlite_database: Database, folder: Path, sqlite_template: Path, name: str, chosen: str
) -> None:
    valid = Quality.VALID
    content: Content = {
        (meter, Flow.IMPORT, day): tuple((meter * 100 + slot, valid) for slot in range(48))
        for meter in (1, 2, 3)
        for day in (19_780, 19_781)
    }
    account, _ = signed_in(sqlite_database, "anna")
    with sqlite_database.writing() as connection:
        zone = "Europe/London"
        add_meters(connection, [1, 2, 3], zone=zone, now=0, regions={2: "North", 3: "North"})
        claim_meters(connection, [2, 3], account_id=account.id, now=0)
    fill(sqlite_database, content)
    selection = (
        Selection(account_id=account.id) if chosen == "account" else Selection(region="North")
    )
    path = folder / f"{chosen}.{name}"
    with sqlite_database.reading() as connection:
        EXPORT_FORMATS[name].write(connection, path, selection, NOW)
    with fresh(folder, sqlite_template) as other:
        request = ImportRequest(parse=ParseOptions(now=NOW), zone="Europe/London")
        assert run_import(other, path, request).status == "stored"
        assert content_of(other) == {key: day for key, day in content.items() if key[0] != 1}


@pytest.mark.parametrize(
    ("header", "serial"),
    [("METERBOOK,METERBOOK", "5"), ("RETAILER,MDP", "2"), ("METERBOOK,X", "2")],
)
def test_a_foreign_nmi_that_looks_like_our_number_is_a_meter_of_its_own(
    sqlite_database: Database, tmp_path: Path, header: str, serial: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        f"100,NEM12,202403010000,{header}\n200,0000000002,E1,E1,E1,,{serial},kWh,30,\n"
        f"300,20240227,{','.join(['1'] * 48)},A,,,,\n900\n"
    )
    request = ImportRequest(parse=ParseOptions(now=NOW), zone="Europe/London")
    report = run_import(sqlite_database, path, request)
    assert [(one.scheme, one.meter_id) for one in report.series] == [("nmi", 900_000_001)]


def test_a_foreign_usage_point_that_ends_in_a_number_is_a_meter_of_its_own(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "out.xml"
    fill(sqlite_database, {(2, Flow.IMPORT, 19_780): ((9, Quality.RAW),) * 48})
    with sqlite_database.reading() as connection:
        EXPORT_FORMATS["espi"].write(connection, path, ALL, NOW)
    path.write_text(path.read_text().replace("<id>urn:uuid:", "<id>urn:uuid:0"))
    request = ImportRequest(parse=ParseOptions(now=NOW), zone="Europe/London")
    report = run_import(sqlite_database, path, request)
    assert [(one.scheme, one.meter_id) for one in report.series] == [("espi", 900_000_001)]


def test_a_file_adds_up_to_the_whole_and_to_its_selection(
    sqlite_database: Database, tmp_path: Path
) -> None:
    raw = Quality.RAW
    content: Content = {
        (meter, flow, day): tuple((meter * 10 + slot, raw) for slot in range(48))
        for meter in (1, 2)
        for flow in Flow
        for day in (19_780, 19_781)
    }
    fill(sqlite_database, content)
    with sqlite_database.reading() as connection:
        write = EXPORT_FORMATS["csv"].write
        assert write(connection, tmp_path / "all.csv", ALL, NOW).readings == 8 * 48
        only = Selection(
            meter_ids=[2], first_day=numbered_day(19_781), end_day=numbered_day(19_782)
        )
        assert write(connection, tmp_path / "some.csv", only, NOW).readings == 2 * 48
        nobody = Selection(account_id=99)
        assert write(connection, tmp_path / "none.csv", nobody, NOW).readings == 0
    lines = (tmp_path / "some.csv").read_text().splitlines()
    assert lines[0] == "meter_id,flow,starts_at,ends_at,kWh,quality,zone"
    assert lines[1] == "2,import,2024-02-28T00:00:00Z,2024-02-28T00:30:00Z,0.020,raw,Europe/London"
    assert sum(round(float(line.split(",")[4]) * 1000) for line in lines[1:]) == 2 * sum(
        20 + slot for slot in range(48)
    )


@pytest.mark.parametrize(
    ("zone", "length_s", "carried"),
    [
        ("Asia/Kathmandu", 900, True),
        ("Asia/Kathmandu", 1800, False),
        ("Australia/Adelaide", 1800, True),
        ("Australia/Adelaide", 3600, False),
    ],
)
def test_intervals_between_the_market_s_are_counted_and_not_shifted(
    sqlite_database: Database, tmp_path: Path, zone: str, length_s: int, carried: bool
) -> None:
    begins_at, ends_at = day_bounds(numbered_day(19_780), time_zone(zone))
    starts = np.arange(begins_at, ends_at, length_s)
    with sqlite_database.writing() as connection:
        add_meters(connection, [7], zone=zone, now=0)
    readings = reading_columns(np.ones(len(starts), dtype=np.int64), starts, starts % 997)
    in_one_transaction(
        sqlite_database,
        lambda connection: load_channels(
            connection, readings, zone=time_zone(zone), now=NOW, file_interval_s=length_s
        ),
    )

    with sqlite_database.reading() as connection:
        written = EXPORT_FORMATS["nem12"].write(connection, tmp_path / "out", ALL, NOW)

    count = len(starts)
    assert (written.readings, written.left_out) == ((count, 0) if carried else (0, count))


def test_an_empty_book_leaves_as_an_empty_file(sqlite_database: Database, tmp_path: Path) -> None:
    migrate(sqlite_database)
    with sqlite_database.reading() as connection:
        for name, format_ in EXPORT_FORMATS.items():
            written = format_.write(connection, tmp_path / name, ALL, NOW)
            assert (written.readings, written.left_out) == (0, 0)
            assert (tmp_path / name).stat().st_size > 0
