"""Folding readings into days, and settling which reading of an interval counts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.closed_days import ClosedDay, DayColumns, closed_day
from meterbook.domain.day_tables import fold, table_of
from meterbook.domain.reading_columns import ReadingColumns, numbered, settled
from meterbook.domain.readings import Quality

QUALITIES = (Quality.RAW, Quality.EDITED, Quality.ESTIMATED_LIKE_DAY)
SLOTS = (46, 47, 48, 49, 50)
places = st.tuples(
    st.integers(19_000, 19_004) | st.integers(0, 40_000),
    st.integers(1, 5) | st.integers(1, 2**40),
    st.integers(0, 45),
)
contents = st.tuples(st.integers(0, 10**6), st.sampled_from(QUALITIES))


def int_column(numbers: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


@given(st.dictionaries(places, contents, max_size=80), st.randoms())
def test_folding_columns_is_the_same_as_folding_one_day_after_the_other(
    readings: dict[tuple[int, int, int], tuple[int, Quality]], shuffle: object
) -> None:
    rows = [(*place, *content) for place, content in readings.items()]
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    slots = {row[0]: SLOTS[row[0] % len(SLOTS)] for row in rows}

    folded = fold(
        DayColumns(
            day=int_column([row[0] for row in rows]),
            channel_id=int_column([row[1] for row in rows]),
            slot=int_column([row[2] for row in rows]),
            amount=int_column([row[3] for row in rows]),
            quality=int_column([row[4] for row in rows]),
            slots_in_day=int_column([slots[row[0]] for row in rows]),
        )
    )

    expected: list[ClosedDay] = []
    for day, channel_id in sorted({row[:2] for row in rows}):
        amounts: list[int | None] = [None] * slots[day]
        qualities = [Quality.RAW] * slots[day]
        for row in rows:
            if row[:2] == (day, channel_id):
                amounts[row[2]], qualities[row[2]] = row[3], row[4]
        expected.append(closed_day(channel_id, day, intervals=amounts, qualities=qualities))
    assert folded.days() == expected
    assert table_of(expected).days() == expected


@given(st.lists(st.integers(0, 50) | st.integers(0, 2**60), min_size=1))
def test_numbers_of_keys_rise_with_the_keys_and_lead_back_to_them(keys: list[int]) -> None:
    numbers, different = numbered(int_column(keys))

    assert different.tolist() == sorted(set(keys))
    assert different[numbers].tolist() == keys


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3), st.integers(0, 3), st.integers(0, 2), st.sampled_from(QUALITIES)
        )
    )
)
def test_settling_gives_what_recording_one_reading_after_the_other_gives(
    rows: list[tuple[int, int, int, Quality]],
) -> None:
    book: dict[tuple[int, int], tuple[int, int]] = {}
    lost, repeated = [], 0
    for source, starts_at, amount, quality in rows:
        old = book.get((source, starts_at))
        if old == (amount, quality):
            repeated += 1
        elif old is not None:
            lost.append((source, starts_at, *old))
        book[source, starts_at] = (amount, quality)

    once = settled(ReadingColumns(*(int_column([row[i] for row in rows]) for i in range(4))))

    kept = _rows(once.readings)
    assert {row[:2]: row[2:] for row in kept} == book
    assert len(kept) == len(book)
    assert sorted(_rows(once.superseded)) == sorted(lost)
    assert once.repeated == repeated


def _rows(columns: ReadingColumns) -> list[tuple[int, ...]]:
    names = ReadingColumns.__struct_fields__
    return list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))
