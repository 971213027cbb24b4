"""A day's amounts: packed and read back they are the same, and other bytes are refused by name."""

from hashlib import sha256
from itertools import accumulate

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meterbook.domain.day_packing import encode, encode_days, encode_table, encode_whole
from meterbook.domain.packed_amounts import Amounts, UnreadableAmountsError, decode, is_packed
from meterbook.domain.packed_days import decode_many

INT64 = st.integers(-(2**63), 2**63 - 1)
AMOUNT = st.one_of(st.integers(0, 3_000), st.integers(-500, 500), INT64)
ANY_DAY = st.one_of(
    st.lists(st.one_of(st.none(), AMOUNT), min_size=1, max_size=60),
    st.lists(st.integers(0, 3_000), min_size=46, max_size=50),
    st.lists(st.integers(0, 90), min_size=1, max_size=150).map(
        lambda advances: [*accumulate(advances, initial=7_000_000)]
    ),
)
LONDON = [
    86, 84, 61, 44, 45, 43, 45, 43, 43, 45, 44, 45, 44, 120, 311, 98, 66, 43, 45, 44, 43, 44, 45,
    62, 230, 1204, 890, 75, 45, 44, 43, 45, 44, 46, 97, 310, 402, 395, 388, 371, 360, 352, 340,
    331, 298, 190, 121, 87,
]  # fmt: skip


def plainly_read(stored: bytes) -> Amounts:
    """Read a packed day by the words of `packed_amounts`, as another language would."""
    at = 1

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            number |= (stored[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if stored[at - 1] < 128:
                return number

    def signed(zigzag: int) -> int:
        return zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2

    k, runs = stored[0] & 31, [48]
    if stored[0] & 32:
        count, runs = varint(), []
        while sum(runs) < count:
            runs.append(varint())
    base, known = signed(varint()), sum(runs[::2])
    bits = iter("".join(f"{byte:08b}" for byte in stored[at:]))
    classes = []
    for _ in range(known - (stored[0] >> 6)):
        classes.append(0)
        while next(bits) == "0":
            classes[-1] += 1
    symbols = [int("1" + "".join(next(bits) for _ in range(k + c)), 2) - 2**k for c in classes]
    amounts = [base + symbol for symbol in symbols]
    if stored[0] & 64:
        amounts = [*accumulate(map(signed, symbols), initial=base)]
    rest = iter(amounts)
    return [None if index % 2 else next(rest) for index, run in enumerate(runs) for _ in range(run)]


@given(ANY_DAY)
@example([0])
@example([None])
@example([-(2**63), 2**63 - 1])
@example([2**60, None, -(2**60)])
@example([0] * 1440)
@example([-(2**50) + 1, 2**50 - 1] * 3)
@example([7] * 90_001)
@example([None, *[5] * 300, None, None, 7])
def test_amounts_are_read_back_as_they_were(day: Amounts) -> None:
    stored = encode(day)
    assert decode(stored) == day
    assert decode_many([stored] * 20) == [day] * 20
    assert len(stored) <= len(msgspec.msgpack.encode(day))
    if is_packed(stored):
        assert plainly_read(stored) == day


@given(st.lists(ANY_DAY, min_size=1, max_size=20))
@example([[*LONDON], [0] * 47 + [2**22 - 1], [0] * 47 + [2**22], [2**40, 2**40 + 2**22 - 1] * 24])
@example([[0, 2**31] * 24, [2**21, None, 0] * 16, [None, 5, 2**22, None, 7] * 300])
@example([[2**51 + 7] * 46, [2**49] * 46, [-(2**50) + 1, 2**50 - 1] * 25, [1, None]])
def test_a_day_is_packed_alike_whatever_it_is_packed_with(days: list[Amounts]) -> None:
    assert encode_days(days) == [encode(day) for day in days]
    assert decode_many(encode_days(days)) == days
    whole = [day for day in days if None not in day]
    columns = [np.array(day, dtype=np.int64) for day in whole]
    assert encode_whole(columns) == [encode(day) for day in whole]


@given(st.binary(max_size=80))
@example(b"")
@example(b"\x00")
@example(b"\x00\x01\x00")
@example(b"\x40\x01\x00")
@example(b"\x1f\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff")
@example(b"\x20\x02\x00\x02\x00")
@example(b"\x00\x01\x00\x81")
def test_other_bytes_are_refused_or_read_alike_by_both_readers(stored: bytes) -> None:
    try:
        amounts = decode(stored)
    except UnreadableAmountsError:
        with pytest.raises(UnreadableAmountsError):
            decode_many([stored] * 20)
    else:
        assert decode_many([stored] * 20) == [amounts] * 20


@given(st.lists(st.integers(0, 3_000), min_size=48, max_size=48), st.integers(1, 60))
def test_a_packed_day_cut_short_is_refused(day: list[int], left_off: int) -> None:
    stored = encode(day)
    with pytest.raises(UnreadableAmountsError):
        decode(stored[: max(len(stored) - left_off, 0)])


@pytest.mark.parametrize(
    ("day", "stored"),
    [
        # Unlike, k 0; nine, nine known; base 5. Symbols 0 1 0 5 0 ... and 1 are 1 10 1 110 1 ...:
        # classes 1 01 1 001 1 1 1 1 1, lowest bits 0 10, and a zero.
        ([5, 6, 5, 10, 5, 5, 5, 5, 5], "20 0909 0a b3f4"),
        # Differences, unlike, k 2; five: 0 known, 1 missing, 3 known, 1 missing; base 1000.
        # Symbols 2 2 and 4 are 110 110: classes 1 1, lowest bits 10 10, two zeros.
        ([None, 1000, 1001, 1002, None], "62 05 00010301 d00f e8"),
        # Of 48 half hours all are 3. Differences, k 0; base 3; 47 ones and a zero.
        ([3] * 48, "40 06 fffffffffffe"),
        ([5], "9105"),
    ],
)
def test_the_form_is_the_documented_one(day: Amounts, stored: str) -> None:
    assert encode(day) == bytes.fromhex(stored)


def test_a_half_hourly_day_takes_three_quarters_of_what_messagepack_does() -> None:
    assert len(encode(LONDON)) < 0.75 * len(msgspec.msgpack.encode(LONDON))


def test_a_dial_by_the_minute_is_stored_by_its_differences() -> None:
    dial = [40_000_000 + 7 * minute + minute % 3 for minute in range(1440)]
    assert len(encode(dial)) < 1440
    assert decode(encode(dial)) == dial


def test_days_written_before_are_still_read() -> None:
    day: Amounts = [5, None, 70_000]
    before = msgspec.msgpack.encode(day)
    assert decode(before) == day
    assert decode_many([before, *encode_days([LONDON] * 30)]) == [day, *[LONDON] * 30]


def test_a_table_of_unlike_days_is_packed_row_by_row() -> None:
    days: list[Amounts] = [[*LONDON], [*LONDON[:46]], [*LONDON, None, 5], [9]]
    slots = np.array([len(day) for day in days])
    amounts = np.zeros((4, 50), dtype=np.int64)
    present = np.zeros((4, 50), dtype=bool)
    for row, day in enumerate(days):
        amounts[row, : len(day)] = [amount or 0 for amount in day]
        present[row, : len(day)] = [amount is not None for amount in day]
    assert encode_table(amounts, present=present, slots=slots) == encode_days(days)


def test_days_are_packed_byte_by_byte_as_in_every_book_before() -> None:
    digest = sha256()
    for spread in (1, 40, 3_000, 2**21, 2**30, 2**48):
        table = (np.arange(60 * 48) ** 3 % 7_919 * spread // 7_919).reshape(60, 48)
        dials = np.cumsum(table, axis=1)
        for amounts in (table, dials, dials - spread):
            every = np.ones(amounts.shape, dtype=bool)
            some = np.arange(60 * 48).reshape(60, 48) ** 2 % 101 > 5
            for present in (every, some):
                known = np.where(present, amounts, 0)
                for day in encode_table(known, present=present, slots=np.full(60, 48)):
                    digest.update(day)
    assert digest.hexdigest() == "735cbcc8e8e3ceace27df9f8ef0710572f64e02998323b83230737b45b8fad5d"
