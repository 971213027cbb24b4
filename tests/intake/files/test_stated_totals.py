"""What the samples' own pages state of them: counts, values, qualities, and what is invalid."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from books import rows_in
from meterbook.domain.readings import Flow, Quality
from meterbook.imports import ImportRequest, run_import
from meterbook.intake.files.parsed import ParseOptions, Series
from meterbook.storage.database import Database
from meterbook.storage.file_tables import foreign_ids, imports
from meterbook.storage.tables import daybook, ledger, meters
from parsing import NOW, ReadFile, read_file

REQUEST = ImportRequest(parse=ParseOptions(now=NOW), zone="Australia/Brisbane")


def read_case(shared_data: Path, name: str) -> tuple[dict[str, Any], ReadFile]:
    folder = shared_data / "nem12_examples"
    cases = msgspec.json.decode((folder / "expected.json").read_bytes())["cases"]
    [case] = [case for case in cases if case["file"].endswith(name)]
    return case, read_file(folder / case["file"])


def counts(read: ReadFile) -> dict[str, int]:
    return {series.name: len(rows) for series, rows in read.rows.items()}


def test_an_actual_interval_is_what_its_page_states(shared_data: Path) -> None:
    case, read = read_case(shared_data, "actual_interval.csv")
    rows = read.rows[Series("nmi", case["nmi"])]
    assert len(rows) == case["readings_per_suffix"]
    # E1 and Q1 have as many readings; what is no active energy is counted, and left out.
    assert read.left_out == {"Q1 (kVArh)": case["readings_per_suffix"]}
    assert set(rows.quality.tolist()) == {int(Quality.VALID)}
    assert case["E1_value"] * 1000 in rows.amount


def test_several_meters_and_their_flows_are_told_apart(shared_data: Path) -> None:
    case, read = read_case(shared_data, "multiple_meters.csv")
    assert {series.name.split("/")[0] for series in read.rows} == set(case["nmis"])
    first, second = case["nmis"]
    assert Series("nmi", first, Flow.IMPORT, 900) in read.rows
    assert Flow.EXPORT in {series.flow for series in read.rows if series.name == second}


def test_qualities_by_interval_are_what_the_page_states(shared_data: Path) -> None:
    case, read = read_case(shared_data, "multiple_quality.csv")
    [rows] = read.rows.values()
    ours = {
        "A": Quality.VALID,
        "F": Quality.ESTIMATED_LIKE_DAY,
        "S": Quality.ESTIMATED_LIKE_DAY,
    }
    for span, written in case["quality"].items():
        first, last = map(int, span.split("-"))
        # The page's spans name the last interval before each change; 24 begins the next one.
        inner = rows.quality[first : min(last, 23 if first == 20 else last) + 1]
        assert set(inner.tolist()) == {int(ours[written[0]])}, span
    stated = (case["readings"], case["first"] * 1000, case["last"] * 1000)
    assert (len(rows), rows.amount[0], rows.amount[-1]) == stated


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("no_scheduled_read.csv", "readings"),
        ("ManyNMIs.zip", "rows"),
        ("different_intervals.zip", "rows"),
        ("different_interval_length.csv", "E1_count"),
    ],
)
def test_the_number_of_readings_is_the_one_stated(
    shared_data: Path, name: str, stated: str
) -> None:
    case, read = read_case(shared_data, name)
    kept = read.summary.readings + sum(read.left_out.values())
    by_meter = counts(read)
    if stated == "E1_count":
        assert by_meter["C123"] == case["E1_count"]
        assert read.left_out["V1 (no unit)"] == case["V1_count"]
    elif isinstance(case[stated], list):
        assert read.summary.readings <= sum(case[stated])
        assert set(by_meter.values()) <= set(case[stated])
    else:
        assert case[stated] in {kept, read.summary.readings, *by_meter.values()}


def test_a_channel_that_is_there_for_a_part_leaves_no_gap(shared_data: Path) -> None:
    case, read = read_case(shared_data, "partialchannel.csv")
    half_hours = {len(rows) * series.interval_s / 1800 for series, rows in read.rows.items()}
    assert max(half_hours) == case["rows"]
    assert all(np.all(np.diff(rows.starts_at) == s.interval_s) for s, rows in read.rows.items())


def test_accumulated_reads_are_what_the_page_states(shared_data: Path) -> None:
    case, read = read_case(shared_data, "consumption_data.csv")
    assert sum(read.energies().values()) == case["consumption"]
    case, read = read_case(shared_data, "forward_estimate.csv")
    assert case["quality"].startswith("E")
    for rows in read.rows.values():
        assert set(rows.quality.tolist()) == {int(Quality.ESTIMATED_INTERPOLATED)}
        assert np.all(np.diff(rows.starts_at) == 1800)


def test_every_invalid_example_is_refused_with_file_line_and_reason(
    sqlite_database: Database, shared_data: Path
) -> None:
    files = sorted((shared_data / "nem12_examples" / "examples" / "invalid").iterdir())
    assert len(files) == 11
    for file in files:
        report = run_import(sqlite_database, file, REQUEST)
        assert report.status == "refused", file.name
        assert report.problem is not None
        assert report.problem.startswith(f"{file}"), report.problem
        assert ": line " in report.problem
        assert len(report.problem.rpartition(": ")[2]) > len("broken")
        assert rows_in(sqlite_database, ledger, daybook, meters, foreign_ids, imports) == [0] * 5


def test_every_valid_example_is_stored_and_again_changes_nothing(
    sqlite_database: Database, shared_data: Path
) -> None:
    for file in sorted((shared_data / "nem12_examples/examples/unzipped").iterdir()):
        report = run_import(sqlite_database, file, REQUEST)
        assert report.status == "stored", report.problem
        again = run_import(sqlite_database, file, REQUEST)
        assert (again.new_days, again.revised_days, again.differing) == (0, 0, 0), file.name
