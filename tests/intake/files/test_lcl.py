"""London CSV: the real files, their quirks, and how a wrong line is named."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meterbook.domain.reading_columns import joined, settled
from meterbook.intake.files import lcl
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_parts import CsvPart, csv_parts
from meterbook.intake.files.lcl import LclLimits, LclPart, lcl_parts
from meterbook.intake.files.parsed import LeftOut, LineNote, ParseOptions
from meterbook.intake.files.sources import FileSource

NOW = 1_760_000_000
LIMITS = LclLimits(now=NOW)
HEADER = "LCLid,DateTime,KWH/hh (per half hour) "
YEAR_2013 = (1_356_998_400, 1_388_534_400)


def written(tmp_path: Path, *lines: str, end: str = "\n", header: str = HEADER) -> Path:
    path = tmp_path / "home.csv"
    path.write_bytes(end.join([header, *lines, ""]).encode())
    return path


def only_part(path: Path, limits: LclLimits = LIMITS) -> LclPart:
    [part] = lcl_parts(FileSource(path), limits=limits)
    return part


def test_the_raw_file_of_home_2_has_its_known_profile(shared_data: Path) -> None:
    part = only_part(shared_data / "lcl_raw_mac000002" / "MAC000002.csv")

    assert (part.rows, len(part.readings), len(part.null_lines)) == (24_158, 24_157, 1)
    assert (part.repeated, part.conflicts, part.off_grid_lines) == (17, 0, [])
    once = settled(part.readings).readings
    first, last = int(once.starts_at.min()), int(once.starts_at.max())
    assert len(once) == 24_140
    assert (last - first) // 1800 + 1 - len(once) == 52
    assert (once.amount == 0).sum() == 21
    assert datetime.fromtimestamp(first, UTC).isoformat() == "2012-10-12T00:30:00+00:00"
    assert datetime.fromtimestamp(last, UTC).isoformat() == "2014-02-28T00:00:00+00:00"
    in_2013 = (once.starts_at >= YEAR_2013[0]) & (once.starts_at < YEAR_2013[1])
    assert (in_2013.sum(), once.amount[in_2013].sum()) == (17_520, 4_214_648)


@pytest.mark.parametrize("home", [3, 4])
def test_the_short_header_form_is_read_too(shared_data: Path, home: int) -> None:
    part = only_part(shared_data / "lcl_2013_100meters" / f"MAC00000{home}.csv")

    assert set(part.readings.source.tolist()) == {home}
    assert part.rows == len(part.readings) > 17_500


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quirks_are_read_and_counted(tmp_path: Path, end: str) -> None:
    path = written(
        tmp_path,
        "MAC000002,2013-01-01 00:00:00.0000000, 0.2389999 ",
        "MAC000002,2013-01-01 00:00:00.0000000, 0.2389999 ",
        "MAC000002,2013-01-01 00:30:00.0000000,Null",
        "MAC000002,2013-01-01 00:30:00, 1",
        "MAC000002,2013-01-01 00:30:00, 2.0005",
        "MAC000002,2013-01-01 00:37:27.0000000, 5 ",
        end=end,
    )

    part = only_part(path)

    assert part.readings.amount.tolist() == [239, 239, 1000, 2000]
    assert (part.repeated, part.conflicts) == (1, 1)
    assert (part.null_lines, part.off_grid_lines) == ([4], [7])


def test_an_end_stamp_names_the_half_hour_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, "MAC000002,2013-01-01 00:30:00,1")

    part = only_part(path, LclLimits(now=NOW, stamp_is_end=True))

    assert part.readings.starts_at.tolist() == [YEAR_2013[0]]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("MAC,2013-01-01 00:30:00,1", 1, "is not an LCLid"),
        ("MAC000000,2013-01-01 00:30:00,1", 1, "is not an LCLid"),
        ("MAC000002,2013-02-30 00:30:00,1", 11, "is not a stamp"),
        ("MAC000002,2013-01-01T00:30:00,1", 11, "is not a stamp"),
        ("MAC000002,2013-01-01 00:30:00+01:00,1", 11, "is not a stamp"),
        ("MAC000002,2013-01-01 00:30:00.5000000,1", 11, "is not a stamp"),
        ("MAC000002,1969-01-01 00:30:00,1", 11, "is before 1970"),
        ("MAC000002,2099-01-01 00:30:00,1", 11, "is in the future"),
        ("MAC000002,2013-01-01 00:30:00,", 31, "is not an energy"),
        ("MAC000002,2013-01-01 00:30:00,-1", 31, "is not an energy"),
        ("MAC000002,2013-01-01 00:30:00,inf", 31, "is not an energy"),
        ("MAC000002,2013-01-01 00:30:00,NaN", 31, "is not an energy"),
        ("MAC000002,2013-01-01 00:30:00,1001", 31, "is more than 1000 kWh"),
        ("MAC000002,2013-01-01 00:30:00", 1, "has 2 columns"),
        ("MAC000002,2013-01-01 00:30:00,1,2", 1, "has 4 columns"),
        ("", 1, "has 1 columns"),
    ],
)
def test_a_wrong_line_is_named_with_its_column_and_reason(
    tmp_path: Path, line: str, column: int, reason: str
) -> None:
    good = "MAC000002,2013-01-01 00:00:00,1"
    path = written(tmp_path, good, line, good)

    part = only_part(path)

    [note] = part.rejected
    assert (note.line, note.column, part.rejected_count) == (3, column, 1)
    assert reason in note.reason
    assert (len(part.readings), part.repeated) == (2, 1)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_bytes(HEADER.encode() + b"\nMAC000002,2013-01-01 00:00:00,1\nMAC\xff,a,b\n")

    assert only_part(path).rejected == [LineNote(3, "is not UTF-8 text", 4)]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\x01\x02", b"{}"])
def test_a_foreign_file_is_refused_by_its_first_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.csv"
    path.write_bytes(content)

    with pytest.raises(BrokenFileError, match="line 1, column 1"):
        only_part(path)


def test_a_file_with_nothing_but_its_header_has_no_readings(tmp_path: Path) -> None:
    assert len(only_part(written(tmp_path)).readings) == 0


@settings(deadline=None)  # the first call warms Polars up
@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.integers(0, 10),
            st.decimals(0, 1000, places=4, allow_nan=False) | st.none(),
        ),
        max_size=30,
    )
)
def test_the_quick_way_reads_what_the_careful_way_reads(
    rows: list[tuple[int, int, Decimal | None]],
) -> None:
    body = "".join(
        f"MAC{home:06d},2013-01-01 {half // 2:02d}:{half % 2 * 30:02d}:00, "
        f"{'Null' if energy is None else energy}\n"
        for home, half, energy in rows
    )
    part = CsvPart(None, body.encode(), 2)
    if not rows:
        return

    quick = _quick(part.body)
    careful, rejected = lcl._careful(part, LIMITS)

    assert quick is not None
    assert rejected == []
    for name in careful.__struct_fields__:
        assert getattr(quick, name).tolist() == getattr(careful, name).tolist()


def _quick(body: bytes) -> lcl._Rows | None:
    table = lcl._table(body)
    return None if table is None else lcl._quick(table, LIMITS)


cells = st.tuples(
    st.sampled_from(["MAC000002", "2", "mac9", "MAC", "MAC2x", "MAC1234567890", " MAC000002 "]),
    st.sampled_from(["2013-01-01 00:30:00", "2013-01-01 00:30:00.0000000"])
    | st.text("0123-: .+TZ", min_size=18, max_size=21),
    st.sampled_from(["Null", "null", "inf", "nan", "", "1_0", "0x1", "+1", "-0", "1.", ".5", "1e2"])
    | st.text("0123456789.eE+- ", max_size=6),
)


@settings(deadline=None, max_examples=300)
@given(cells)
@example(("MAC000002", "2013-01-01 00:30:00", "0e99"))  # zero, with an exponent
def test_whatever_the_quick_way_takes_the_careful_way_reads_the_same(
    row: tuple[str, str, str],
) -> None:
    part = CsvPart(None, (",".join(row) + "\n").encode(), 2)

    quick = _quick(part.body)

    if quick is not None:
        careful, rejected = lcl._careful(part, LIMITS)
        assert rejected == []
        for name in careful.__struct_fields__:
            assert getattr(quick, name).tolist() == getattr(careful, name).tolist()


def test_lines_of_many_small_pieces_are_told_by_their_number_in_the_file(tmp_path: Path) -> None:
    lines = [f"MAC000001,2013-01-{day:02d} 00:30:00,{day}" for day in range(1, 29)]
    lines[20] = "MAC000001,2013-01-21 00:30:00,Null"
    lines[25] = "MAC000001,soon,1"
    path = written(tmp_path, *lines)
    options = ParseOptions(now=NOW)

    with patch.object(lcl, "csv_parts", partial(csv_parts, part_bytes=200)):
        [part] = lcl.read_lcl(FileSource(path), options)

    assert len(part.readings) == 26
    assert part.left_out == {"Null": LeftOut(1, 22)}
    assert [note.line for note in part.rejected] == [27]


def test_parts_of_a_large_file_hold_every_line_once_and_keep_a_home_together(
    tmp_path: Path,
) -> None:
    lines = [
        f"MAC{home:06d},2013-01-{day:02d} 00:30:00,{day}"
        for home in range(1, 20)
        for day in range(1, 29)
    ]
    path = written(tmp_path, *lines)

    parts = list(csv_parts(io.BytesIO(path.read_bytes()), path, part_bytes=4_000))

    bodies = [part.body.decode().splitlines() for part in parts]
    assert [line for body in bodies for line in body] == lines
    homes = [{line.split(",")[0] for line in body} for body in bodies if body]
    assert len(homes) > 3
    assert sum(len(some) for some in homes) == 19
    assert [part.first_line for part in parts][:2] == [2, 2 + len(bodies[0])]


def test_a_home_larger_than_a_part_is_cut_at_a_line(tmp_path: Path) -> None:
    lines = [f"MAC000001,2013-01-{day:02d} 00:30:00,{day}" for day in range(1, 29)]
    path = written(tmp_path, *lines)

    parts = list(csv_parts(io.BytesIO(path.read_bytes()), path, part_bytes=200))

    assert b"".join(part.body for part in parts).decode().splitlines() == lines
    assert len(parts) < 12
    read = joined([part.readings for part in lcl_parts(FileSource(path), limits=LIMITS)])
    assert read.amount.tolist() == [day * 1000 for day in range(1, 29)]
