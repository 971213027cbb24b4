"""Meter IDs and FINs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.fin import FinError, check_fin, masked_fin
from meterbook.domain.meter_ids import METER_ID_MAX, MeterIdError, dashed, meter_id


@given(st.integers(1, METER_ID_MAX))
def test_a_meter_id_is_the_same_with_and_without_dashes(number: int) -> None:
    assert meter_id(dashed(number)) == meter_id(str(number)) == meter_id(number) == number


@pytest.mark.parametrize(
    "written",
    ["", "0", "1000000000", "-1", "1--2", "12a", "١٢٣", "1 2", 0, -5, METER_ID_MAX + 1, "9" * 5000],
)
def test_what_is_no_meter_id_is_refused(written: int | str) -> None:
    with pytest.raises(MeterIdError):
        meter_id(written)


@pytest.mark.parametrize("number", ["S1234567D", "G1234567X", "M1234567K", " s123 4567d "])
def test_right_fins(number: str) -> None:
    assert check_fin(number) == "".join(number.split()).upper()


@pytest.mark.parametrize(
    "number", ["S1234567A", "A3389127I", "A1234567I", "S123456D", "", "S12345678D"]
)
def test_wrong_fins_are_refused_without_being_repeated(number: str) -> None:
    with pytest.raises(FinError) as caught:
        check_fin(number)
    assert not number or number not in str(caught.value)


def test_a_fin_is_shown_masked() -> None:
    assert masked_fin("A3389127I") == "*****127I"
