"""Conversions: exact to 1 Wh, finer rounded half-even."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.units import kwh_column_to_wh, kwh_to_wh, wh_to_kwh


@pytest.mark.parametrize(
    ("text", "energy_wh"),
    [
        ("5.5", 5500),
        ("0.0005", 0),
        ("0.0015", 2),
        ("1.0005", 1000),
        ("1.0015", 1002),
        ("0.2389999", 239),
        ("0.0005000000000000000000000000000000000001", 1),
        ("1e3", 1_000_000),
        ("1e-400", 0),
    ],
)
def test_decimal_text_is_rounded_half_even_to_one_wh(text: str, energy_wh: int) -> None:
    assert kwh_to_wh(Decimal(text)) == energy_wh


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e30", "sNaN"])
def test_what_is_not_finite_or_absurd_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        kwh_to_wh(Decimal(text))


@given(st.lists(st.integers(0, 10_000_000), max_size=50))
def test_a_column_of_texts_to_a_tenth_of_a_wh_is_rounded_as_each_text_is(tenths: list[int]) -> None:
    texts = [Decimal(t).scaleb(-4) for t in tenths]
    exact = [int(t.scaleb(3).to_integral_value(ROUND_HALF_EVEN)) for t in texts]
    column = np.array([float(t) for t in texts], dtype=np.float64)
    assert kwh_column_to_wh(column).tolist() == exact


@given(st.integers(0, 10**12))
def test_whole_wh_survive_the_way_to_kwh_and_back(energy_wh: int) -> None:
    assert kwh_to_wh(Decimal(repr(wh_to_kwh(energy_wh)))) == energy_wh
