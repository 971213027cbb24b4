"""Readings of samples: laws that hold for every counter."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.input_mappings import MILLIONTHS, InputMapping, Mapping, readings_of
from meterbook.domain.local_days import grid_offset_s, time_zone

KWH = InputMapping(Mapping.COUNTER, Fraction(1000))
NOW = 2_000_000_000


@given(
    st.lists(
        st.tuples(st.integers(1, 4_000_000), st.integers(0, 5_000_000)), min_size=2, max_size=50
    ),
    st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/London"]),
)
def test_a_rising_counters_intervals_add_up_to_its_advance(
    steps: list[tuple[int, int]], zone: str
) -> None:
    at_ms, amount = 1_767_225_600_000, 0
    samples = []
    for pause_ms, advance in steps:
        at_ms, amount = at_ms + pause_ms, amount + advance
        samples.append((at_ms, amount))
    offset_s = grid_offset_s(time_zone(zone))
    made = readings_of(samples, mapping=KWH, grid_offset_s=offset_s, now=NOW)
    for starts_at, energy_wh, _ in made:
        assert energy_wh >= 0
        assert (starts_at - offset_s) % 1800 == 0
    assert [item[0] for item in made] == [made[0][0] + 1800 * index for index in range(len(made))]
    risen = Fraction(samples[-1][1] - samples[0][1]) * 1000 / MILLIONTHS
    assert sum(item[1] for item in made) <= risen + 1


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=30), st.booleans())
def test_no_interval_of_any_counter_is_negative(numbers: list[int], resets: bool) -> None:
    samples = [(1_767_225_600_000 + 600_000 * i, number) for i, number in enumerate(numbers)]
    mapping = InputMapping(Mapping.COUNTER, Fraction(1000), resets_to_zero=resets)
    made = readings_of(samples, mapping=mapping, grid_offset_s=0, now=NOW)
    assert all(energy_wh >= 0 for _, energy_wh, _ in made)
