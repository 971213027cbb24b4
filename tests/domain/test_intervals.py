"""Counters to interval energy: the intervals add up to the advance."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.intervals import (
    CounterWentBackError,
    UnorderedSamplesError,
    advance_wh,
    interval_energy_wh,
)

steps = st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 50_000)), min_size=1, max_size=30)


@given(steps, st.integers(0, 10**12), st.integers(60, 3600))
def test_the_intervals_between_first_and_last_sample_add_up_to_the_advance(
    steps: list[tuple[int, int]], first_wh: int, interval_s: int
) -> None:
    instants = list(accumulate((s for s, _ in steps), initial=0))
    counters = list(accumulate((wh for _, wh in steps), initial=first_wh))
    samples = list(zip(instants, counters, strict=True))
    marks = [*range(0, instants[-1], interval_s), instants[-1]]
    energies = interval_energy_wh(samples, marks=marks)
    assert None not in energies
    assert sum(e for e in energies if e is not None) == counters[-1] - first_wh
    assert all(e is not None and e >= 0 for e in energies)


@given(steps, st.integers(60, 3600))
def test_a_rollover_changes_nothing_but_the_digits(
    steps: list[tuple[int, int]], interval_s: int
) -> None:
    dial_wh = 100_000
    instants = list(accumulate((s for s, _ in steps), initial=0))
    counters = list(accumulate((wh for _, wh in steps), initial=90_000))
    marks = range(0, instants[-1] + 1, interval_s)
    plain = interval_energy_wh(list(zip(instants, counters, strict=True)), marks=marks)
    rolled = [(i, c % dial_wh) for i, c in zip(instants, counters, strict=True)]
    assert interval_energy_wh(rolled, marks=marks, rollover_wh=dial_wh) == plain


def test_falling_counter_is_refused_not_counted_as_negative_energy() -> None:
    with pytest.raises(CounterWentBackError, match="fell from 500 to 400"):
        interval_energy_wh([(0, 500), (1800, 400)], marks=[0, 1800])


def test_a_fall_too_great_for_a_rollover_is_refused() -> None:
    assert advance_wh(99_900, 100, rollover_wh=100_000, advance_wh_max=500) == 200
    with pytest.raises(CounterWentBackError):
        advance_wh(50_000, 100, rollover_wh=100_000, advance_wh_max=500)


def test_what_no_counter_tells_is_missing_not_zero() -> None:
    energies = interval_energy_wh([(1800, 10), (3600, 30)], marks=[0, 1800, 3600, 5400])
    assert energies == [None, 20, None]


def test_samples_out_of_order_are_refused() -> None:
    with pytest.raises(UnorderedSamplesError):
        interval_energy_wh([(10, 1), (10, 2)], marks=[0, 20])
