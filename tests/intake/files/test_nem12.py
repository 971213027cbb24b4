"""NEM12 and NEM13 against the market's own examples, valid and invalid, and two real exports."""

from pathlib import Path

import pytest

from meterbook.domain.readings import Flow, Quality
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.parsed import Series
from parsing import read_file

# The market's own sample has a 300 record broken over three lines.
DAMAGED = "NEM12#Scenario10#ETSAMDP#NEMMCO.zip"


@pytest.fixture
def examples(shared_data: Path) -> Path:
    """Give the folder of examples."""
    return shared_data / "nem12_examples" / "examples"


def test_every_example_of_the_market_is_read_whole(examples: Path) -> None:
    files = sorted([*(examples / "nem12").iterdir(), *(examples / "nem13").iterdir()])
    files += sorted((examples / "unzipped").iterdir()) + sorted(examples.glob("*.zip"))
    assert len(files) > 120
    for file in files:
        read = read_file(file)
        if file.name == DAMAGED:
            assert read.reasons[0][0] == 27
            continue
        assert read.reasons == [], file.name
        assert read.summary.readings or read.left_out, file.name


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("15min_200_30min_300", 3, "48 values and then a quality; 96 intervals of 15 minutes"),
        ("15min_200_30min_400", 3, "400 records end at interval 48 of 96"),
        ("30min_200_15min_300", 3, "96 values and then a quality; 48 intervals of 30 minutes"),
        ("30min_200_15min_400", 3, "96 values and then a quality; 48 intervals of 30 minutes"),
        ("incomplete_interval", 3, "0 values and then a quality"),
        ("missing_header", 1, "must begin with a 100 record"),
        ("powercor", 1, "must begin with a 100 record"),
        ("powercor_missing_fields", 1, "must begin with a 100 record"),
    ],
)
def test_an_invalid_example_is_rejected_with_line_and_reason(
    examples: Path, name: str, line: int, reason: str
) -> None:
    read = read_file(examples / "invalid" / f"Example_NEM12_{name}.csv")
    assert read.reasons[0][0] == line
    assert reason in read.reasons[0][1]


def test_a_file_without_readings_says_nothing(examples: Path) -> None:
    assert read_file(examples / "invalid" / "Example_NEM12_empty.csv").summary.is_empty
    with pytest.raises(BrokenFileError, match="is empty"):
        read_file(examples / "invalid" / "Example_empty_file.csv")


def test_two_files_in_one_leave_the_last_values(examples: Path) -> None:
    read = read_file(examples / "invalid" / "Example_NEM12_powercor.csv")
    rows = read.rows[Series("nmi", "VABD000163")]
    assert (len(rows), rows.amount[10], rows.amount[-1]) == (96, 1111, 3333)
    assert read.left_out == {"Q1 (KVARH)": 96}


def test_qualities_of_a_mixed_day_come_from_its_400_records(examples: Path) -> None:
    read = read_file(examples / "unzipped" / "Example_NEM12_multiple_quality.csv")
    rows = read.rows[Series("nmi", "CCCC123456")]
    assert (rows.amount[0], rows.amount[-1]) == (18_023, 14_733)
    estimated, valid = int(Quality.ESTIMATED_LIKE_DAY), int(Quality.VALID)
    assert rows.quality.tolist() == [estimated] * 20 + [valid] * 4 + [estimated] * 24


def test_intervals_marked_null_are_missing_and_not_zero(tmp_path: Path) -> None:
    day = ",".join(["1"] * 48)
    file = tmp_path / "null.csv"
    file.write_text(
        "100,NEM12,200404201300,A,B\n200,N1,E1,1,E1,N1,M,kWh,30,\n"
        f"300,20040417,{day},V,,,2004,\n400,1,2,N,,\n400,3,48,A,,\n900\n"
    )
    read = read_file(file)
    rows = read.rows[Series("nmi", "N1")]
    assert len(rows) == 46
    assert rows.starts_at[0] == 1_082_124_000 + 3_600  # 2004-04-17 01:00 at +10:00
    assert read.left_out == {"intervals marked N (null)": 2}


def test_each_register_is_a_meter_and_each_interval_keeps_its_length(examples: Path) -> None:
    read = read_file(examples / "unzipped" / "Example_NEM12_different_interval_length.csv")
    assert {(s.name, s.interval_s): len(rows) for s, rows in read.rows.items()} == {
        ("C123", 1800): 48,
        ("C123/2", 1800): 48,
    }
    assert read.left_out == {"V1 (no unit)": 144}
    solar = read_file(examples / "unzipped" / "Example_NEM12_month_solar.csv")
    assert {(s.flow, s.interval_s) for s in solar.rows} == {(Flow.EXPORT, 300), (Flow.IMPORT, 300)}
    assert read_file(examples / "Example_NEM12_ManyNMIs.zip").summary.readings == 57_024


def test_real_exports_are_read_in_spite_of_what_a_spreadsheet_did(shared_data: Path) -> None:
    read = read_file(shared_data / "nem12_real_exports" / "meter02.csv")
    assert [line for line, _ in read.reasons] == [1, 682]  # its 100 and 900 records are lost
    assert read.energies() == {"9999000002 import": 4606.82}
    assert len(read.rows[Series("nmi", "9999000002")]) == 681 * 48


def test_an_accumulated_read_is_spread_evenly_and_adds_up(examples: Path) -> None:
    read = read_file(examples / "unzipped" / "Example_NEM13_consumption_data.csv")
    rows = read.rows[Series("nmi", "VABC005890")]
    assert rows.amount.sum() == 1_312_100
    assert set(rows.quality.tolist()) == {int(Quality.ESTIMATED_INTERPOLATED)}
    assert rows.amount.max() - rows.amount.min() <= 1


def test_what_is_fed_in_is_seen_from_the_customer(examples: Path) -> None:
    read = read_file(examples / "nem13" / "NEM13#000000000000012#CNRGYMDP#NEMMCO.zip")
    assert read.energies() == {"NEM1312022/12 export": 1490.0}
