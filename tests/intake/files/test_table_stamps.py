"""Stamps of whole columns: the quick way reads what the careful one reads, and nothing more."""

import time
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.local_days import time_zone
from meterbook.intake.files.ahead import ahead
from meterbook.intake.files.csv_mapping import CsvMapping
from meterbook.intake.files.local_stamps import local_instants
from meterbook.intake.files.table_stamps import StampReader, Stamps, _quick, _slow

JANUARY_2ND_1_30 = 1_672_623_000.0


def _read(texts: list[str], *, order: str = "ymd") -> Stamps:
    return StampReader(CsvMapping(stamp="at", date_order=order)).read(pl.DataFrame({"at": texts}))


@pytest.mark.parametrize(
    ("text", "order", "seconds", "is_instant"),
    [
        ("2023-01-02 01:30:00", "ymd", JANUARY_2ND_1_30, False),
        ("2023-01-02 01:30", "ymd", JANUARY_2ND_1_30, False),
        ("2023-01-02 01:30:00.0000000", "ymd", JANUARY_2ND_1_30, False),
        ("2023-01-02T01:30:00Z", "ymd", JANUARY_2ND_1_30, True),
        ("2023-01-02T01:30:00.000Z", "ymd", JANUARY_2ND_1_30, True),
        ("2023-01-02T01:30:00+10:00", "ymd", JANUARY_2ND_1_30 - 36_000, True),
        ("2023-01-02T01:30-0330", "ymd", JANUARY_2ND_1_30 + 12_600, True),
        ("02/01/2023 01:30", "dmy", JANUARY_2ND_1_30, False),
        ("02.01.2023 01:30:00", "dmy", JANUARY_2ND_1_30, False),
        ("01/02/2023 01:30", "mdy", JANUARY_2ND_1_30, False),
        ("02/01/23 01:30", "dmy", JANUARY_2ND_1_30, False),
    ],
)
def test_a_stamp_means_the_same_alone_and_among_others(
    text: str, order: str, seconds: float, is_instant: bool
) -> None:
    for texts in ([text], [text, text]):
        read = _read(texts, order=order)
        careful = _slow(pl.Series(texts), order)
        assert read.seconds.tolist() == careful.seconds.tolist() == [seconds] * len(texts)
        assert read.is_instant == careful.is_instant == is_instant


def test_a_column_may_mix_fractions_and_offsets() -> None:
    plain = _read(["2023-01-02 01:30:00", "2023-01-02 01:30:00.0000000"])
    assert plain.seconds.tolist() == [JANUARY_2ND_1_30] * 2
    zones = _read(["2023-01-02T01:30:00+01:00", "2023-01-02T01:30:00Z"])
    assert zones.is_instant
    assert zones.seconds.tolist() == [JANUARY_2ND_1_30 - 3_600, JANUARY_2ND_1_30]


def test_what_stands_behind_the_form_of_the_first_stamp_counts() -> None:
    half_days = _read(["01/02/2023 12:30 AM", "01/02/2023 12:30 PM"], order="mdy")
    assert half_days.seconds.tolist() == [JANUARY_2ND_1_30 - 3_600, JANUARY_2ND_1_30 + 39_600]
    precise = _read(["2023-01-02 01:30", "2023-01-02 01:30:15", "2023-01-02 01:30:00"])
    assert precise.seconds.tolist() == [JANUARY_2ND_1_30 + more for more in (0, 15, 0)]
    assert np.isnan(_read(["2023-01-02 01:30", "2023-01-02 01:30.000"]).seconds[1])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["2023-01-02 01:30", "2023-01-02T01:30", "2023-1-2 1:30", "2023-02-30"]
            ),
            st.sampled_from(["", ":00", ":15", ":61", ":0", ".0", ":00.000", ":00,5"]),
            st.sampled_from(
                ["", " ", "Z", " UTC", "+01:00", "-0330", "+1", "01", " am", "PM", "x"]
            ),
        ).map("".join),
        min_size=1,
        max_size=4,
    )
)
def test_the_quick_way_reads_what_the_careful_one_does(texts: list[str]) -> None:
    quick = _quick(pl.Series(texts), "ymd")
    if quick is not None:
        careful = _slow(pl.Series(texts), "ymd")
        assert quick.seconds.tolist() == careful.seconds.tolist()
        assert quick.is_instant == careful.is_instant


@pytest.mark.parametrize(
    "wrong",
    ["2023-01-02 01:30:00.5", "2023-01-02 01:30:005", "2023-02-30 01:30:00", "2023-01-02 01:61:00",
     "2023-01-02 01:30:00 0530", "", "soon"],
)  # fmt: skip
def test_what_is_no_stamp_stays_none_among_good_ones(wrong: str) -> None:
    read = _read(["2023-01-02 01:30:00", wrong])
    assert read.seconds[0] == JANUARY_2ND_1_30
    assert np.isnan(read.seconds[1])


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["2023-01-02 01:30", "2023-01-02 02:00", " 2023-01-02T01:30", "2023-01-02 01:30Z",
                 "2023-01-02 03:00+01:00", "2023-02-30", "soon"]
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)  # fmt: skip
def test_what_a_stamp_means_is_the_same_whatever_part_came_before(parts: list[list[str]]) -> None:
    reader = StampReader(CsvMapping(stamp="at", date_order="ymd"))
    for texts in parts:
        read = reader.read(pl.DataFrame({"at": texts}), is_repeated=True)
        alone = _read(texts)
        np.testing.assert_array_equal(read.seconds, alone.seconds)
        assert read.is_instant == alone.is_instant


def test_the_doubled_hour_of_many_meters_is_placed_in_the_time_of_one() -> None:
    """Rows of ten thousand meters by turns: each one's own order says which hour is which."""
    meters = 10_000
    hours = np.array([0, 3600, 5400, 3600, 5400, 7200]) + 1_698_537_600
    group = np.tile(np.arange(meters), len(hours))
    stamps = np.repeat(hours, meters)
    begin = time.process_time()
    placed = local_instants(stamps, zone=time_zone("Europe/Dublin"), group=group)
    assert time.process_time() - begin < 5
    steps = placed.instant.reshape(len(hours), meters)
    wanted = np.array([0, 3600, 5400, 7200, 9000, 10_800])[:, None]
    assert ((steps - steps[0]) == wanted).all()


def test_what_is_made_ahead_comes_in_order_with_its_error_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken here")

    came: list[int] = []
    with pytest.raises(ValueError, match="broken here"):
        list(_noted(ahead(items()), came))
    assert came == [1, 2]


def _noted(items: Iterator[int], came: list[int]) -> Iterator[int]:
    for item in items:
        came.append(item)
        yield item
