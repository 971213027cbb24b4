"""Readings of a counter's samples: laws that hold for every counter."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from meterbook.domain.input_counters import CounterProgress, count_samples
from meterbook.domain.input_mappings import MILLIONTHS, InputMapping, Made, Mapping, Sample
from meterbook.domain.local_days import grid_offset_s, time_zone
from meterbook.domain.readings import Quality

KWH = InputMapping(Mapping.COUNTER, Fraction(1000))
FIRST_MS = 1_767_225_600_000


def counted(samples: list[Sample], *, offset_s: int = 0, mapping: InputMapping = KWH) -> list[Made]:
    _, made = count_samples(CounterProgress(), samples, mapping=mapping, grid_offset_s=offset_s)
    return made


STEPS = st.lists(
    st.tuples(st.integers(1_000, 4_000_000), st.integers(0, 500_000)), min_size=2, max_size=50
)


def risen(steps: list[tuple[int, int]]) -> list[Sample]:
    at_ms, amount = FIRST_MS, 0
    samples = []
    for pause_ms, advance in steps:
        at_ms, amount = at_ms + pause_ms, amount + advance
        samples.append((at_ms, amount))
    return samples


@settings(deadline=None)
@given(STEPS, st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/London"]))
def test_a_rising_counters_half_hours_add_up_to_no_more_than_its_advance(
    steps: list[tuple[int, int]], zone: str
) -> None:
    samples = risen(steps)
    offset_s = grid_offset_s(time_zone(zone))
    made = counted(samples, offset_s=offset_s)
    for starts_at, energy_wh, _ in made:
        assert energy_wh >= 0
        assert (starts_at - offset_s) % 1800 == 0
    advance = Fraction(samples[-1][1] - samples[0][1]) * 1000 / MILLIONTHS
    assert sum(energy_wh for _, energy_wh, _ in made) <= advance + 1


@settings(deadline=None)
@given(STEPS, st.integers(1, 10))
def test_in_how_many_portions_samples_are_counted_does_not_matter(
    steps: list[tuple[int, int]], size: int
) -> None:
    samples = risen(steps)
    progress = CounterProgress()
    made: list[Made] = []
    for begin in range(0, len(samples), size):
        progress, more = count_samples(
            progress, samples[begin : begin + size], mapping=KWH, grid_offset_s=0
        )
        made += more
    assert made == counted(samples)


@settings(deadline=None)
@given(st.integers(3, 40), st.integers(0, 10**9), st.booleans())
def test_a_single_odd_sample_changes_nothing(place: int, odd: int, resets: bool) -> None:
    even = [(FIRST_MS + 300_000 * i, 500_000_000 + 20_000 * i) for i in range(50)]
    spoiled = [*even[:place], (even[place][0], odd), *even[place + 1 :]]
    mapping = InputMapping(Mapping.COUNTER, Fraction(1000), resets_to_zero=resets)
    energies = {starts_at: energy_wh for starts_at, energy_wh, _ in counted(even, mapping=mapping)}
    assert set(energies.values()) == {120}
    for starts_at, energy_wh, quality in counted(spoiled, mapping=mapping):
        is_near = abs(starts_at * 1000 - even[place][0]) <= 1_800_000
        assert energy_wh == energies[starts_at] or (is_near and quality != Quality.RAW)
    total = sum(energy_wh for _, energy_wh, _ in counted(spoiled, mapping=mapping))
    assert total == sum(energies.values())


def test_a_jump_beyond_the_rated_power_is_no_energy() -> None:
    before = [(FIRST_MS + 300_000 * i, 1_000_000 + 10_000 * i) for i in range(13)]
    after = [(FIRST_MS + 300_000 * i, 10**14 + 10_000 * i) for i in range(13, 26)]
    assert {energy_wh for _, energy_wh, _ in counted([*before, *after])} == {60}
