"""Readings are placed some channels after the other: the same as all at once."""

from unittest.mock import patch
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.bulk_load import placing
from meterbook.domain.reading_columns import ReadingColumns

DUBLIN = ZoneInfo("Europe/Dublin")
CLOCKS_GO_BACK = 1_698_534_000  # 2023-10-29 00:00 in Dublin, a day of 50 half-hours
TODAY = CLOCKS_GO_BACK + 90_000 + 86_400
NOW = TODAY + 7_200

READINGS = st.lists(
    st.tuples(
        st.sampled_from([3, 4, 9, 70_000]),
        st.sampled_from([CLOCKS_GO_BACK, CLOCKS_GO_BACK + 88_200, TODAY - 1800, TODAY]),
        st.integers(0, 2),
        st.sampled_from([0, 14]),
    ),
    min_size=1,
    max_size=30,
)


def _placed(rows: list[tuple[int, int, int, int]], *, at_once: int) -> placing.Placed:
    columns = ReadingColumns(*np.array(rows, dtype=np.int64).T)
    with patch.object(placing, "READINGS_AT_ONCE", at_once):
        return placing.placed(columns, zone=DUBLIN, from_s=1800, to_s=1800, now=NOW)


def _rows(columns: ReadingColumns) -> list[tuple[int, ...]]:
    names = ReadingColumns.__struct_fields__
    return sorted(zip(*(getattr(columns, name).tolist() for name in names), strict=True))


@given(READINGS, st.integers(1, 8))
def test_readings_lie_where_they_do_when_all_are_placed_at_once(
    rows: list[tuple[int, int, int, int]], at_once: int
) -> None:
    some, every = _placed(rows, at_once=at_once), _placed(rows, at_once=len(rows))
    assert some.closed.days() == every.closed.days()
    assert _rows(some.open) == _rows(every.open)
    assert _rows(some.superseded) == _rows(every.superseded)
    assert (some.repeated, some.off_grid, some.unplaced) == (every.repeated, 0, 0)


def test_a_day_of_fifty_half_hours_and_one_of_48_share_a_table() -> None:
    rows = [(1, TODAY - 1800, 5, 14), (2, CLOCKS_GO_BACK, 7, 14)]
    days = _placed(rows, at_once=1).closed.days()
    assert [(day.channel_id, len(day.intervals), day.energy) for day in days] == [
        (2, 50, 7),
        (1, 48, 5),
    ]


@pytest.mark.parametrize(
    ("zone", "midnight", "length_s", "interval_s", "placed"),
    [
        ("Australia/Lord_Howe", 1_759_584_600, 84_600, 3_600, 0),
        ("Australia/Lord_Howe", 1_743_858_000, 88_200, 3_600, 0),
        ("Australia/Lord_Howe", 1_743_858_000, 88_200, 86_400, 1),
        ("Europe/Dublin", CLOCKS_GO_BACK, 90_000, 3_600, 25),
        ("Europe/Dublin", CLOCKS_GO_BACK, 90_000, 86_400, 1),
    ],
    ids=["spring-hours", "autumn-hours", "autumn-day", "whole-hour-hours", "whole-hour-day"],
)
def test_a_day_is_kept_in_intervals_that_fill_it(
    zone: str, midnight: int, length_s: int, interval_s: int, placed: int
) -> None:
    starts = np.arange(midnight, midnight + length_s, interval_s)[: placed or None]
    rows = [(1, start, 5, 14) for start in starts.tolist()]
    found = placing.placed(
        ReadingColumns(*np.array(rows, dtype=np.int64).T),
        zone=ZoneInfo(zone),
        from_s=interval_s,
        to_s=1800,
        now=midnight + 200_000,
    )

    days = found.closed.days()
    assert [len(day.intervals) for day in days] == ([placed] if placed else [])
    assert found.off_grid == (0 if placed else len(rows))
