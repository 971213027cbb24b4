"""CSV of any shape: what is guessed, what is ambiguous, and what a wrong row is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterbook.domain.local_days import utc_text
from meterbook.domain.readings import Flow, Quality
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_files import csv_guesses
from meterbook.intake.files.csv_guess import date_order, guess_shape
from meterbook.intake.files.csv_mapping import CsvMapping
from meterbook.intake.files.parsed import OWN, Series
from meterbook.intake.files.sources import FileSource
from parsing import OPTIONS, ReadFile, read_file


def csv(path: Path, text: str, **said: object) -> ReadFile:
    file = path / "a.csv"
    file.write_text(text)
    return read_file(file, as_format="csv", mapping=CsvMapping(**said))  # type: ignore[arg-type]


def starts(read: ReadFile) -> list[str]:
    [rows] = read.rows.values()
    return [utc_text(start) for start in rows.starts_at.tolist()]


def test_real_files_are_read_with_the_totals_they_are_known_for(shared_data: Path) -> None:
    london = read_file(shared_data / "lcl_raw_mac000002" / "MAC000002.csv", as_format="csv")
    [rows] = london.rows.values()
    assert (len(rows), london.left_out) == (24_157, {"empty values": 1})
    year = (rows.starts_at >= 1_356_998_400) & (rows.starts_at < 1_388_534_400)
    settled_2013 = dict(zip(rows.starts_at[year].tolist(), rows.amount[year].tolist(), strict=True))
    assert len(settled_2013) == 17_520
    assert sum(settled_2013.values()) == pytest.approx(4_214_648, abs=5)
    sydney = read_file(
        shared_data / "ausgrid_customer12" / "data_2011-2012.csv",
        as_format="csv",
        mapping=CsvMapping(unit="kw", energy=["GC"], export="GG"),
    )
    assert sydney.energies() == {" import": 5938.369, " export": 1296.404}


def test_a_wide_file_has_a_day_a_row(shared_data: Path) -> None:
    file = shared_data / "nem12_real_exports" / "meter03.csv"
    with pytest.raises(BrokenFileError, match=r"unit \(kwh fits\): say the unit"):
        read_file(file)
    read = read_file(file, mapping=CsvMapping(unit="kwh", zone="Australia/Brisbane"))
    [(series, rows)] = read.rows.items()
    assert (series.name, series.interval_s, len(rows)) == ("9999000003", 1800, 465 * 48)
    assert utc_text(int(rows.starts_at[0])) == "2019-06-21T14:00:00Z"  # the 22nd, at +10:00
    assert read.energies() == {"9999000003 import": 4304.627}


def test_03_04_is_never_chosen_in_silence(tmp_path: Path) -> None:
    text = "when,kwh\n03/04/2024 00:00,1\n03/04/2024 00:30,2\n"
    with pytest.raises(BrokenFileError, match="does not tell its date order"):
        csv(tmp_path, text)
    assert starts(csv(tmp_path, text, date_order="dmy"))[0] == "2024-04-03T00:00:00Z"
    assert starts(csv(tmp_path, text, date_order="mdy"))[0] == "2024-03-04T00:00:00Z"


@pytest.mark.parametrize(
    ("stamps", "order"),
    [
        (["2024-03-04"], ("ymd", True)),
        (["03/04/2024", "13/04/2024"], ("dmy", True)),
        (["03/04/2024", "03/13/2024"], ("mdy", True)),
        (["03.04.2024"], ("dmy", True)),
        (["03/04/2024"], ("dmy", False)),
    ],
    ids=["iso", "a 13th first", "a 13th second", "dots", "either"],
)
def test_the_order_of_a_date_is_told_where_it_is_told(
    stamps: list[str], order: tuple[str, bool]
) -> None:
    assert date_order(stamps) == order


@pytest.mark.parametrize(
    "text",
    [
        "stamp;energy kWh\n01.02.2024 00:00;1,5\n01.02.2024 00:30;999,25\n",
        "Bericht\n\nstamp\tenergy (Wh)\n2024-02-01 00:00\t1500\n2024-02-01 00:30\t999250\n",
        "date,time,MWh\n20240201,00:00,0.0015\n20240201,00:30,0.99925\n",
        "2024-02-01T01:00:00+01:00,1.5\n2024-02-01T01:30:00+01:00,999.25\n",
        "a,kW\n2/1/2024 12:00 AM,3\n2/1/2024 12:30 am,1998.5\n2/13/2024 1:00 PM,0\n",
        '"stamp","energy kwh"\n"2024-02-01 00:00","1.5"\n"2024-02-01 00:30","999.25"\n',
    ],
    ids=["decimal comma", "tab and Wh", "date and time", "offset, no header", "kW", "quoted"],
)
def test_the_same_readings_in_many_shapes(tmp_path: Path, text: str) -> None:
    read = csv(tmp_path, text, **({} if "Wh" in text or "kW" in text else {"unit": "kwh"}))
    [rows] = read.rows.values()
    assert read.reasons == []
    assert starts(read)[:2] == ["2024-02-01T00:00:00Z", "2024-02-01T00:30:00Z"]
    assert rows.amount[:2].tolist() == [1500, 999_250]


def test_an_end_stamp_names_the_interval_before_it(tmp_path: Path) -> None:
    text = "interval end,kWh\n2024-02-01 00:30,1\n2024-02-01 01:00,2\n"
    assert starts(csv(tmp_path, text)) == ["2024-02-01T00:00:00Z", "2024-02-01T00:30:00Z"]
    assert starts(csv(tmp_path, text, stamp_is_end=False))[0] == "2024-02-01T00:30:00Z"


def test_local_stamps_on_both_clock_change_days(tmp_path: Path) -> None:
    autumn = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    text = "stamp,kWh\n" + "".join(f"2024-10-27 {stamp},1\n" for stamp in autumn)
    read = csv(tmp_path, text, zone="Europe/London")
    [rows] = read.rows.values()
    assert set(np.diff(rows.starts_at).tolist()) == {1800}
    assert starts(read)[0] == "2024-10-26T23:30:00Z"
    text = "stamp,kWh\n2024-03-31 00:30,1\n2024-03-31 01:30,1\n2024-03-31 02:00,1\n"
    spring = csv(tmp_path, text, zone="Europe/London")
    assert spring.reasons == [(3, "has a time that the clock of Europe/London skips")]


def test_an_estimate_is_one_in_a_file_of_days_and_of_half_hours(
    tmp_path: Path, shared_data: Path
) -> None:
    lines = (shared_data / "nem12_real_exports" / "meter03.csv").read_text().splitlines()
    lines[2] = lines[2].replace(",No,", ",Yes,")
    read = csv(tmp_path, "\n".join(lines[:8]), unit="kwh")
    assert read.reasons == []
    rows = read.rows[Series("csv", "9999000003")]
    estimated = rows.quality == Quality.ESTIMATED_LIKE_DAY
    assert estimated.reshape(-1, 48).all(axis=1).tolist() == [False, True] + [False] * 5
    assert (rows.quality[~estimated] == Quality.RAW).all()

    long = "meter,starts_at,kWh,quality,Is estimated\n7,2024-02-01T00:00:00Z,1,valid,no\n"
    long += "7,2024-02-01T00:30:00Z,1,,TRUE\n7,2024-02-01T01:00:00Z,1,edited,y\n"
    found = csv(tmp_path, long).rows[Series("meterbook", "7")].quality.tolist()
    assert found == [Quality.VALID, Quality.ESTIMATED_LIKE_DAY, Quality.EDITED]


def test_a_quality_of_anothers_words_is_left_out(tmp_path: Path) -> None:
    days = "meter,date,quality," + ",".join(f"{hour}:00 kWh" for hour in range(24))
    days += "\n7,2024-02-01,{}," + ",".join(["1"] * 24) + "\n"
    for word, quality in (("A", Quality.RAW), ("valid", Quality.VALID)):
        read = csv(tmp_path, days.format(word))
        assert read.reasons == []
        assert set(read.rows[Series("meterbook", "7", Flow.IMPORT, 3600)].quality) == {quality}


def test_a_word_that_is_neither_yes_nor_no_is_rejected(tmp_path: Path) -> None:
    rows = "meter,starts_at,kWh,estimated\n" + "7,2024-02-01T00:00:00Z,1,no\n" * 500
    read = csv(tmp_path, rows + "7,2024-02-01T00:30:00Z,1,perhaps\n")
    assert read.reasons == [(502, "says neither yes nor no to whether it is an estimate")]


def test_the_columns_that_are_read_and_those_that_are_not_are_told(shared_data: Path) -> None:
    source = FileSource(shared_data / "nem12_real_exports" / "meter03.csv")
    told = {one.field: one.reading for one in csv_guesses(source, OPTIONS)}
    assert told["columns used"] == (
        "NMI, DATE, CON/GEN, ESTIMATED?, 00:00 - 00:30, 00:30 - 01:00, 01:00 - 01:30, "
        "01:30 - 02:00, 02:00 - 02:30, 02:30 - 03:00, ... 23:30 - 00:00 (52 in all)"
    )
    assert told["columns left out"] == "METER SERIAL NUMBER"


def test_a_column_of_zones_places_meters_and_a_wrong_zone_is_rejected(tmp_path: Path) -> None:
    rows = "meter,starts_at,kWh,time zone\n7,2024-02-01T00:00:00Z,1,Asia/Kolkata\n"
    read = csv(tmp_path, rows)
    assert read.summary.zones == {("meterbook", "7"): "Asia/Kolkata"}
    many = rows + "7,2024-02-01T00:30:00Z,1,Asia/Kolkata\n" * 500
    broken = csv(tmp_path, many + "8,2024-02-01T00:30:00Z,1,Asia/Nowhere\n")
    assert broken.reasons == [(503, "names a time zone that there is not")]
    other = csv(tmp_path, rows.replace("Asia/Kolkata", "my zone"))
    assert other.summary.zones == {}
    assert other.reasons == []


def test_flows_qualities_and_own_meter_ids(tmp_path: Path) -> None:
    read = csv(
        tmp_path,
        "meter,starts_at,kWh,fed in kWh,quality\n"
        "000-000-012,2024-02-01T00:00:00Z,1,0.5,valid\n"
        "12,2024-02-01T00:30:00Z,2,,edited\n"
        "house,2024-02-01T00:00:00Z,3,0,\n",
    )
    assert read.energies() == {
        "000-000-012 import": 1.0, "12 import": 2.0, "house import": 3.0,
        "000-000-012 export": 0.5, "house export": 0.0,
    }  # fmt: skip
    assert read.rows[Series(OWN, "12")].quality.tolist() == [int(Quality.EDITED)]
    assert read.rows[Series("csv", "house", Flow.EXPORT)].quality.tolist() == [int(Quality.RAW)]
    assert read.left_out == {"empty values": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-02-30 00:00,1", "no date or time"),
        ("2024-02-03 25:00,1", "no date or time"),
        ("2024-02-03 00:00,x", "no number in column 'kWh'"),
        ("2024-02-03 00:00,1,2", "has 3 columns instead of 2"),
        ("2024-02-03 00:00", "has 1 columns instead of 2"),
        ("2024-02-03 00:00,-1", "below 0"),
        ("2024-02-03 00:00,9999", "more than 1000 kWh"),
        ("2054-02-03 00:00,1", "lies in the future"),
        ("2024-02-03 00:00,inf", "no number"),
    ],
)
def test_a_wrong_row_is_told_with_its_line(tmp_path: Path, row: str, reason: str) -> None:
    good = "stamp,kWh\n2024-02-01 00:00,1\n2024-02-01 00:30,1\n2024-02-01 01:00,1\n"
    read = csv(tmp_path, f"{good}{row}\n2024-02-04 00:00,1\n", interval_minutes=30)
    [(line, told)] = read.reasons
    assert line == 5
    assert reason in told
    assert read.summary.readings == 4


def test_parquet_holds_the_same_as_csv(tmp_path: Path) -> None:
    instants = np.arange(0, 1800 * 100, 1800) + 1_700_000_000 // 1800 * 1800
    frame = pl.DataFrame(
        {
            "meter_id": np.repeat(np.array([5, 6]), 50),
            "starts_at": pl.Series(instants * 1000).cast(pl.Datetime("ms", "UTC")),
            "kWh": np.arange(100) / 1000,
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    read = read_file(tmp_path / "a.parquet")
    assert {s.name: rows.amount.sum() for s, rows in read.rows.items()} == {"5": 1225, "6": 3725}
    assert starts_of(read) == instants.tolist()


def starts_of(read: ReadFile) -> list[int]:
    return [start for rows in read.rows.values() for start in rows.starts_at.tolist()]


@settings(max_examples=60, deadline=None)
@given(
    amounts=st.lists(st.integers(0, 1_000_000), min_size=3, max_size=60),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    form=st.sampled_from(
        ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%MZ", "%Y/%m/%d %H:%M"]
    ),
    header=st.booleans(),
)  # fmt: skip
def test_any_shape_that_tells_itself_gives_its_readings(
    tmp_path_factory: pytest.TempPathFactory,
    amounts: list[int],
    delimiter: str,
    decimal: str,
    form: str,
    *,
    header: bool,
) -> None:
    if (delimiter, decimal) == (",", ","):
        decimal = "."
    first = datetime(2024, 2, 13, tzinfo=UTC)
    rows = []
    for index, amount in enumerate(amounts):
        stamp = (first + timedelta(minutes=30 * index)).strftime(form)
        rows.append(f"{stamp}{delimiter}{f'{amount / 1000:.3f}'.replace('.', decimal)}")
    text = (f"when{delimiter}energy kWh\n" if header else "") + "\n".join(rows)
    folder = tmp_path_factory.mktemp("csv")
    read = csv(folder, text, **({} if header else {"unit": "kwh"}))
    [found] = read.rows.values()
    assert found.amount.tolist() == amounts
    assert np.diff(found.starts_at).tolist() == [1800] * (len(amounts) - 1)


def test_what_a_person_said_is_never_guessed() -> None:
    said = CsvMapping(unit="wh", date_order="mdy", stamp_is_end=True)
    shape = guess_shape(["stamp,kWh", "03/04/2024 00:00,1", "03/04/2024 00:30,1"], said)
    assert (shape.mapping.unit, shape.mapping.date_order) == ("wh", "mdy")
    assert not {g.field for g in shape.guesses} & {"unit", "date_order", "stamp_is_end"}


def test_the_zone_of_stamps_is_the_one_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("stamp,kWh\n2024-07-01 00:00,1\n2024-07-01 00:30,1\n")
    read = read_file(file, as_format="csv", stamps_zone=ZoneInfo("Europe/Berlin"))
    assert starts(read)[0] == "2024-06-30T22:00:00Z"
