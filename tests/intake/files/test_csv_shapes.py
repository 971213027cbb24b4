"""Shapes of CSV that were once read as something else: intervals, wide rows, flows, marks."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meterbook.domain.local_days import utc_text
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_files import HEAD_BYTES
from meterbook.intake.files.csv_mapping import CsvMapping
from parsing import ReadFile, read_file

CLOCKS = [f"{hour:02d}:{minute}" for hour in range(24) for minute in ("00", "30")]


def csv(path: Path, text: str, **said: object) -> ReadFile:
    file = path / "a.csv"
    file.write_text(text, encoding="utf-8")
    return read_file(file, as_format="csv", mapping=CsvMapping(**said))  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["kWh", "kW"], ids=str)
def test_hours_of_meters_in_turn_are_hours(tmp_path: Path, unit: str) -> None:
    rows = [f"{meter},2024-01-01 {hour:02d}:00:00,2" for hour in range(24) for meter in (7, 8)]
    read = csv(tmp_path, f"meter,stamp,{unit}\n" + "\n".join(rows))
    assert {series.interval_s for series in read.rows} == {3_600}
    assert read.energies() == {"7 import": 48.0, "8 import": 48.0}


def test_a_day_of_many_meters_is_a_day(tmp_path: Path) -> None:
    read = csv(tmp_path, "meter,date,kWh\n7,2024-01-01,10\n8,2024-01-01,11\n")
    assert {series.interval_s for series in read.rows} == {86_400}


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ([f"2024-{month:02d}-01,300" for month in range(1, 7)], "31 days"),
        ([f"2024-01-01 {hour:02d}:00,2" for hour in range(0, 24, 2)], "2:00:00"),
    ],
    ids=["months", "two hours"],
)
def test_intervals_of_a_length_that_is_not_kept_are_rejected(
    tmp_path: Path, rows: list[str], length: str
) -> None:
    read = csv(tmp_path, "date,kWh\n" + "\n".join(rows))
    assert read.summary.readings == 0
    assert {reason for _, reason in read.reasons} == {
        f"begins {length} after another: no length of interval that is kept"
    }
    assert csv(tmp_path, "date,kWh\n" + "\n".join(rows), interval_minutes=60).summary.readings


@pytest.mark.parametrize(
    ("header", "more"),
    [
        ([*CLOCKS, "Total"], ["1176"]),
        ([*CLOCKS, ""], [""]),
        ([*(f"kWh{number}" for number in range(1, 49)), "Total"], ["1176"]),
        ([*(f"at {number} {'x' * (number % 7)}" for number in range(48)), ""], [""]),
    ],
    ids=["a total", "a last delimiter", "numbered, and a total", "words, and a last delimiter"],
)
def test_a_column_beside_those_of_a_wide_row_moves_nothing(
    tmp_path: Path, header: list[str], more: list[str]
) -> None:
    rows = [",".join(["7", f"2024-01-{day}", *map(str, range(1, 49)), *more]) for day in (13, 14)]
    text = ",".join(["meter", "date", *header]) + "\n" + "\n".join(rows) + "\n"
    [found] = csv(tmp_path, text, unit="kwh").rows.values()
    assert found.amount.tolist() == [1000 * number for number in range(1, 49)] * 2
    assert utc_text(int(found.starts_at[0])) == "2024-01-13T00:00:00Z"


def test_more_columns_than_a_day_has_are_never_chosen_from_in_silence(tmp_path: Path) -> None:
    header = ",".join(["meter", "date", *(f"HH{number:02d}" for number in range(1, 51))])
    row = ",".join(["7", "2024-01-13", *map(str, range(1, 49)), "", ""])
    with pytest.raises(BrokenFileError, match="name the column of the energy"):
        csv(tmp_path, f"{header}\n{row}\n", unit="kwh")


def test_rows_of_a_flow_that_is_not_known_are_counted(tmp_path: Path) -> None:
    text = "meter,starts_at,flow,kWh\n" + "".join(
        f"7,2024-01-01T0{hour}:00:00Z,{flow},1\n"
        for hour, flow in enumerate(["import", "feedin", "feedin", "export"])
    )
    read = csv(tmp_path, text)
    assert read.energies() == {"7 import": 1.0, "7 export": 1.0}
    assert read.left_out == {"rows of flow 'feedin'": 2}


def test_a_name_that_the_end_of_the_head_cuts_stays_what_it_is(tmp_path: Path) -> None:
    row = "Zähler-1,2024-01-01T00:00:00Z,1\n"
    pad = (HEAD_BYTES - len("Zähler,starts_at,kWh\n".encode()) - 2) % len(row.encode())
    text = "Zähler,starts_at,kWh\n" + "x" * pad + row * (HEAD_BYTES // len(row.encode()) + 9)
    with pytest.raises(UnicodeDecodeError):
        text.encode()[:HEAD_BYTES].decode()
    assert "Zähler-1" in {series.name for series in csv(tmp_path, text).rows}


def test_a_point_is_no_mark_of_thousands_where_no_thousands_are(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d};0,5" for day in range(1, 20)]
    rows += ["2024-01-20;0.25", "2024-01-21;1.234,5", "2024-01-22;12.345.678"]
    read = csv(tmp_path, "date;Wh\n" + "\n".join(rows))
    assert read.reasons == [(21, "has no number in column 'Wh'")]
    [found] = read.rows.values()
    assert found.amount.tolist()[-2:] == [1234, 12_345_678]


@pytest.mark.parametrize(
    ("day", "spans"),
    [
        ("2024-10-27", ["01:30 02:00", "02:00 02:30", "02:30 03:00", "02:00 02:30", "02:30 03:00"]),
        ("2024-10-27", ["01:30 02:00", "02:00 02:30", "02:30 02:00", "02:00 02:30", "02:30 03:00"]),
        ("2024-03-31", ["00:30 01:00", "01:00 01:30", "01:30 02:00", "03:00 03:30"]),
        ("2024-03-31", ["00:30 01:00", "01:00 01:30", "01:30 03:00", "03:00 03:30"]),
    ],
    ids=["autumn, reckoned", "autumn, by the clock", "spring, reckoned", "spring, by the clock"],
)
def test_starts_and_ends_on_a_local_clock_when_it_changes(
    tmp_path: Path, day: str, spans: list[str]
) -> None:
    rows = [",".join(f"{day} {clock}" for clock in span.split()) + ",1" for span in spans]
    read = csv(tmp_path, "start,end,kWh\n" + "\n".join(rows), zone="Europe/Berlin")
    assert not read.reasons
    [(series, found)] = read.rows.items()
    assert series.interval_s == 1_800
    steps = found.starts_at[1:] - found.starts_at[:-1]
    assert steps.tolist() == [1_800] * (len(spans) - 1)


def test_the_end_of_the_last_interval_before_a_skipped_hour(tmp_path: Path) -> None:
    rows = [f"2024-03-31 {clock},1" for clock in ("01:00", "01:30", "02:00", "03:30", "04:00")]
    read = csv(tmp_path, "end,kWh\n" + "\n".join(rows), zone="Europe/Berlin")
    assert not read.reasons
    [found] = read.rows.values()
    assert (found.starts_at - found.starts_at[0]).tolist() == [0, 1_800, 3_600, 5_400, 7_200]


@pytest.mark.parametrize("part_bytes", [1_900, 2_000, 2_500, 3_100, 5_000], ids=str)
@pytest.mark.parametrize("order", ["time", "time back", "meter"])
@pytest.mark.parametrize("separator", [" ", "T"], ids=["quick", "plain"])
def test_the_doubled_hour_may_lie_in_two_pieces_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int, order: str, separator: str
) -> None:
    monkeypatch.setattr("meterbook.intake.files.csv_files.PART_BYTES", part_bytes)
    berlin, begin = ZoneInfo("Europe/Berlin"), 1_729_980_000
    rows = [(begin + 1_800 * half, meter, half) for half in range(24) for meter in range(101, 121)]
    if order != "time":
        rows.sort(key=lambda row: row[1] if order == "meter" else -row[0])
    lines = [
        f"{meter},{datetime.fromtimestamp(at, berlin):%Y-%m-%d{separator}%H:%M:%S},0.{half:03d}"
        for at, meter, half in rows
    ]
    text = "meter,stamp,kWh\n" + "\n".join(lines)
    if separator == " ":
        text = text.replace(",0.", ',"0.').replace("\n", '"\n').replace('kWh"', "kWh") + '"'
    read = csv(tmp_path, text, zone="Europe/Berlin")
    assert read.summary.conflicts == 0
    assert len(read.rows) == 20
    for found in read.rows.values():
        told = dict(zip(found.starts_at.tolist(), found.amount.tolist(), strict=True))
        assert told == {begin + 1_800 * half: half for half in range(24)}


def test_utf_16_is_named_with_a_way_out(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("date;kWh\n2024-01-01 00:00;0,5\n", encoding="utf-16")
    with pytest.raises(BrokenFileError, match="is UTF-16 text: save it as UTF-8"):
        read_file(file)
    with pytest.raises(BrokenFileError, match="is UTF-16 text: save it as UTF-8"):
        read_file(file, as_format="csv")
