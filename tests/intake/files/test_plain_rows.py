"""Plain CSV read from its bytes: the same readings, rejections and notes as with all care."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meterbook.intake.files import csv_files
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_mapping import CsvMapping
from meterbook.intake.files.plain_rows import is_plain, plain_rows
from parsing import read_file

HEAD = "meter,starts_at,kWh\n"
MAPPING = CsvMapping(
    delimiter=",", decimal=".", layout="long", meter="meter", stamp="starts_at", energy=["kWh"],
    date_order="ymd", unit="kwh", zone="Europe/London", header=True, skip_lines=0,
)  # fmt: skip
METER = st.sampled_from(
    ["7", "8", "999999999", "kitchen of flat 9", "kitchen of flat", "Küche", "7 ", " ", ""]
)
STAMP = st.one_of(
    st.builds(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format,
        st.integers(1969, 2025), st.integers(0, 13), st.integers(0, 32), st.integers(0, 25),
        st.sampled_from([0, 15, 30, 59, 60]), st.sampled_from([0, 0, 1, 60]),
    ),
    st.builds("2013-03-31 0{}:30:00".format, st.integers(0, 9)),
    st.builds("2013-03-31 0{}:30:00.0000000".format, st.integers(0, 9)),
    st.sampled_from(
        ["2013-01-01T00:30:00", "2013-01-01 00:30:00.0000001", "2013-01-01 00:3x:00", "2013/01/01",
         "2013-01-01x00:30:00", "2013-01:01 00:30:00", "2013-01-01 00:30:00Z", "",
         "201é-01-01 00:00:0"]
    ),
)  # fmt: skip
AMOUNT = st.one_of(
    st.decimals(0, 2000, places=3).map(str),
    st.floats(0, 3).map(str),
    st.text("0123456789. -+e", max_size=10),
    st.sampled_from(
        [" 0.158 ", "1.0779999", "0.0005", "5.", ".5", ".", "", "Null", "1e3", "nan", "１"]
    ),
)
ONE_ODD = st.one_of(
    st.tuples(METER, st.just("2013-01-01 01:00:00"), st.just("1")),
    st.tuples(st.just("7"), STAMP, st.just("1")),
    st.tuples(st.just("7"), st.just("2013-01-01 01:00:00"), AMOUNT),
)
ROW = st.one_of(ONE_ODD, st.tuples(METER, STAMP, AMOUNT)).map(",".join)
PLAIN = ["7,2013-01-01 00:00:00, 0.158 ", "7,2013-01-01 00:30:00.0000000,1.0779999"]


def _told(path: Path) -> Iterator[object]:
    try:
        read = read_file(path, as_format="csv", mapping=MAPPING)
    except BrokenFileError as error:
        yield str(error)
        return
    yield from (read.reasons, read.left_out, read.summary.notes, read.summary.rejected_count)
    for series, rows in read.rows.items():
        for name in rows.__struct_fields__:
            yield series, name, getattr(rows, name).tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=3), st.sampled_from(["\n", "\r\n"]))
@example(["7,2013-03-31 01:30:00,1"], "\n")
@example(["7,2013-01-01 01:00:00,"], "\n")
@example(['"7",2013-01-01 01:00:00,1'], "\n")
@example([""], "\n")
@example(["7 ,2013-01-02 00:00:00,1"], "\n")
@example(["7,2013-01-01 01:00:60,1"], "\n")
@example(["7,2013-01-01 01:60:00,1"], "\n")
@example(["7,2013-01-01 24:00:00,1"], "\n")
@example(["7,2013-02-29 00:00:00,1"], "\n")
@example(["7,2013-01-01 01:00:00,0.0005"], "\n")
@example(["7,2013-01-01 01:00:00,0.00051"], "\n")
@example(["7,2013-01-01 01:00:00,99999999"], "\n")
@example(["7,2013-01-01 01:00:00,1.2.3"], "\n")
@example(["7,2013-01-01 01:00:00,1,2"], "\n")
def test_it_says_what_a_careful_reader_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], ending: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "plain.csv"
    for some in (rows, [*PLAIN, *rows], [row for row in PLAIN * 9 for row in (row, *rows)]):
        file.write_text(HEAD + "".join(row + ending for row in some), newline="")
        with patch.object(csv_files, "is_plain", return_value=False):
            careful = [*_told(file)]
        assert [*_told(file)] == careful


def test_plain_rows_are_read_from_their_bytes() -> None:
    assert is_plain(MAPPING)
    body = "\n".join([*PLAIN, "123456789012,2013-01-02T23:59:59,12.5"]).encode()
    rows = plain_rows(body, MAPPING, ["meter", "starts_at", "kWh"], count=3)
    assert rows is not None
    assert (rows.names, rows.run_rows.tolist()) == (["7", "123456789012"], [2, 1])
    assert rows.wall_s.tolist() == [1_356_998_400, 1_357_000_200, 1_357_171_199]
    assert rows.energy_wh.tolist() == [158, 1078, 12_500]


def test_names_that_end_alike_are_different_meters() -> None:
    meters = ["1999999999", "2999999999", "999999999", "x 2999999999"]
    body = "".join(f"{meter},2013-01-01 00:00:00,1\n" for meter in meters).encode()
    rows = plain_rows(body, MAPPING, ["meter", "starts_at", "kWh"], count=4)
    assert rows is not None
    assert rows.names == meters
