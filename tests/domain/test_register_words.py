"""Words and numbers: the field's own vectors, and laws."""

import csv
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.modbus_numbers import NumberType, WordOrder
from meterbook.domain.register_amounts import amount_of, amount_scale
from meterbook.domain.register_words import (
    NumberOutOfRangeError,
    number_of_words,
    words_of_number,
)

SENTINELS = {
    "int16": [0x8000, 0x7FFF],
    "uint16": [0xFFFF],
    "int32": [0x8000_0000, 0x7FFF_FFFF],
    "uint32": [0xFFFF_FFFF],
    "uint64": [2**64 - 1],
    "float32": [0xFF7F_FFFF],
}


def test_the_vectors_of_another_poller_all_come_out(shared_data: Path) -> None:
    seen = 0
    with (shared_data / "registers_evcc" / "decode_vectors.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name, is_low_first = row["type"].removesuffix("s"), row["type"].endswith("s")
            has_sentinels = name.endswith("nan")
            name = name.removesuffix("nan")
            number_type = NumberType[name.upper()]
            order = WordOrder.LOW_FIRST if is_low_first else WordOrder.HIGH_FIRST
            octets = bytes.fromhex(row["bytes_hex"])
            words = [int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2)]
            number = number_of_words(
                words,
                number_type=number_type,
                word_order=order,
                missing=SENTINELS[name] if has_sentinels else (),
            )
            expected = None if row["value"] == "no value" else int(row["value"])
            assert number == expected, row
            if row["direction"] == "both" and number is not None:
                assert words_of_number(number, number_type=number_type, word_order=order) == words
            seen += 1
    assert seen == 20


@pytest.mark.parametrize("number_type", NumberType)
@pytest.mark.parametrize("order", WordOrder)
@given(bits=st.integers(0, 2**64 - 1))
def test_every_number_has_its_words_and_the_other_way_round(
    number_type: NumberType, order: WordOrder, bits: int
) -> None:
    words = [bits >> 16 * at & 0xFFFF for at in range(number_type.words)]
    number = number_of_words(words, number_type=number_type, word_order=order)
    if number is not None:
        again = words_of_number(number, number_type=number_type, word_order=order)
        assert again == words


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_the_shortest_text_its_width_cannot_tell_from_it(number: float) -> None:
    words = words_of_number(number, number_type=NumberType.FLOAT32)
    text = number_of_words(words, number_type=NumberType.FLOAT32)
    assert isinstance(text, Decimal)
    assert struct.pack(">f", float(text)) == struct.pack(">f", number)
    shorter = f"{number:.{max(1, len(text.normalize().as_tuple().digits) - 1)}g}"
    if len(text.normalize().as_tuple().digits) > 6:
        assert struct.pack(">f", float(shorter)) != struct.pack(">f", number)


@pytest.mark.parametrize("missing", [[0x8000], [-0x8000]])
def test_a_sentinel_may_be_written_signed_or_unsigned(missing: list[int]) -> None:
    for number_type in (NumberType.INT16, NumberType.UINT16):
        assert number_of_words([0x8000], number_type=number_type, missing=missing) is None
        assert number_of_words([0x8001], number_type=number_type, missing=missing) is not None


@pytest.mark.parametrize("bits", [0x7F800000, 0xFF800000, 0x7FC00000])
def test_infinity_and_nan_are_no_value(bits: int) -> None:
    words = [bits >> 16, bits & 0xFFFF]
    assert number_of_words(words, number_type=NumberType.FLOAT32) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(NumberOutOfRangeError):
        words_of_number(70_000, number_type=NumberType.UINT16)
    with pytest.raises(NumberOutOfRangeError):
        words_of_number(-1, number_type=NumberType.UINT32)


@pytest.mark.parametrize(
    ("number", "scale", "unit", "factor", "amount"),
    [
        (Decimal("230.1"), "1", "V", 0, 230_100),
        (2301, "0.1", "V", 0, 230_100),
        (Decimal("1234.5678"), "1", "kWh", 0, 1_234_568),
        (12345, "0.01", "kWh", 0, 123_450),
        (1, "0.0005", "kWh", 0, 0),  # half to even: 0.5 Wh
        (3, "0.0005", "kWh", 0, 2),  # 1.5 Wh
        (-5, "1", "kW", 0, -5_000_000),
        (7, "1", "MWh", 0, 7_000_000),
        (4999, "1", "V", -2, 49_990),
        (12, "1", "Wh", 2, 1200),
        (10, "1", "kvarh", 0, 10_000_000),  # no energy in Wh: thousandths
        (Decimal("3e38"), "1", "MWh", 0, None),
    ],
)
def test_amounts_are_whole_watt_hours_or_thousandths(
    number: int | Decimal, scale: str, unit: str, factor: int, amount: int | None
) -> None:
    scaled = amount_scale(scale=Decimal(scale), unit=unit)
    assert amount_of(number, scale=scaled, scale_factor=factor) == amount


@given(
    st.integers(-(2**53), 2**53),
    st.decimals("-1000", "1000", places=4),
    st.integers(-10, 4),
)
def test_amounts_round_half_even_like_fractions(number: int, scale: Decimal, factor: int) -> None:
    exact = Fraction(number) * Fraction(scale) * 1000 * Fraction(10) ** factor
    amount = amount_of(number, scale=amount_scale(scale=scale, unit="V"), scale_factor=factor)
    assert amount == (round(exact) if abs(round(exact)) <= 2**52 else None)
