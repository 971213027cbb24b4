"""Readings of a counter's samples: laws that hold for every counter."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meterbook.domain.input_counters import CounterProgress, count_samples
from meterbook.domain.input_mappings import MILLIONTHS, InputMapping, Made, Mapping, Sample
from meterbook.domain.local_days import grid_offset_s, time_zone
from meterbook.domain.readings import Quality

KWH = InputMapping(Mapping.COUNTER, Fraction(1000))
FIRST_MS = 1_767_225_600_000
BELIEVED = (
    85_000_000  # in five minutes, of a counter whose rated power nobody said: 1 MW, and a step
)


def counted(samples: list[Sample], *, offset_s: int = 0, mapping: InputMapping = KWH) -> list[Made]:
    _, made = count_samples(CounterProgress(), samples, mapping=mapping, grid_offset_s=offset_s)
    return made


def last_of_each(samples: list[Sample], *, mapping: InputMapping, portion: int) -> list[Made]:
    """Return what the books have in the end: of each half-hour what was made of it last."""
    progress = CounterProgress()
    last: dict[int, Made] = {}
    for begin in range(0, len(samples), portion):
        some = samples[begin : begin + portion]
        progress, made = count_samples(progress, some, mapping=mapping, grid_offset_s=0)
        last |= {each[0]: each for each in made}
    return [*last.values()]


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


WH = 1_000
EVEN = [(FIRST_MS + 300_000 * i, 500_000_000 + 20_000 * i) for i in range(50)]
ODD = st.integers(0, 10**9) | st.integers(500_000_000, 500_000_000 + BELIEVED)


@settings(deadline=None)
@given(st.integers(3, 40), ODD, st.booleans(), st.integers(1, 50))
def test_a_single_odd_sample_changes_nothing(
    place: int, odd: int, resets: bool, portion: int
) -> None:
    even = EVEN
    # What is no more than flows in the next two steps counts a little too early, and stays.
    assume(not 0 <= odd - even[place - 1][1] <= 3 * 20_000 + WH)
    spoiled = [*even[:place], (even[place][0], odd), *even[place + 1 :]]
    mapping = InputMapping(Mapping.COUNTER, Fraction(1000), resets_to_zero=resets)
    energies = {starts_at: energy_wh for starts_at, energy_wh, _ in counted(even, mapping=mapping)}
    assert set(energies.values()) == {120}
    found = last_of_each(spoiled, mapping=mapping, portion=portion)
    for starts_at, energy_wh, quality in found:
        is_near = abs(starts_at * 1000 - even[place][0]) <= 1_800_000
        assert energy_wh == energies[starts_at] or (is_near and quality != Quality.RAW)
    assert sum(energy_wh for _, energy_wh, _ in found) == sum(energies.values())


def test_a_jump_beyond_the_rated_power_is_no_energy() -> None:
    before = [(FIRST_MS + 300_000 * i, 1_000_000 + 10_000 * i) for i in range(13)]
    after = [(FIRST_MS + 300_000 * i, 10**14 + 10_000 * i) for i in range(13, 26)]
    assert {energy_wh for _, energy_wh, _ in counted([*before, *after])} == {60}


def regular(every_s: int, *, late_s: list[int], count: int) -> list[Sample]:
    """Return samples of 1 kW, each some seconds after its time."""
    stamps = [every_s * i + late_s[i % len(late_s)] for i in range(count)]
    return [(FIRST_MS + 1000 * at, at * 1_000_000 // 3600) for at in stamps]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    ("every_s", "late_s"),
    [
        (1800, [0]),
        (1800, [7, 12, 3]),
        (1800, [-5, 8]),
        (900, [400, 431]),
        (600, [0]),
        (300, [1, 9]),
    ],
    ids=["on the marks", "after them", "around them", "quarters", "ten minutes", "five minutes"],
)
def test_what_a_regular_sampler_measured_is_no_estimate(
    every_s: int, late_s: list[int], zone: str
) -> None:
    offset_s = grid_offset_s(time_zone(zone))
    samples = [
        (at_ms + offset_s * 1000, amount)
        for at_ms, amount in regular(every_s, late_s=late_s, count=7 * 1800 // every_s)
    ]
    made = counted(samples, offset_s=offset_s)
    assert len(made) >= 4
    assert {quality for _, _, quality in made} == {Quality.RAW}
    assert all(abs(energy_wh - 500) <= 1 for _, energy_wh, _ in made)


@pytest.mark.parametrize(
    ("away", "estimated"),
    [
        (range(2, 2), []),
        (range(13, 18), []),  # from 01:05 to 01:30: its half-hour's ends were read
        (range(12, 18), []),  # from 01:00, its beginning, on
        (range(10, 16), [1, 2]),  # 00:50 to 01:20: what was there at 01:00 is a guess
        (range(11, 23), [1, 2, 3]),  # 00:55 to 01:55
        (range(12, 24), [2, 3]),  # 01:00 to 02:00: nobody knows where 01:30 was
    ],
    ids=["never", "within", "whole", "a mark", "two", "from mark to mark"],
)
def test_a_half_hour_is_estimated_where_an_end_of_it_was_not_read(
    away: range, estimated: list[int]
) -> None:
    samples = regular(300, late_s=[0], count=37)
    kept = [
        sample for i, sample in enumerate(samples) if i not in away or i in {away[0], away[-1] + 1}
    ]
    made = counted(kept)
    assert [starts_at * 1000 - FIRST_MS for starts_at, _, _ in made] == [
        1_800_000 * i for i in range(6)
    ]
    guessed = [i for i, (_, _, quality) in enumerate(made) if quality != Quality.RAW]
    assert guessed == estimated
    assert sum(energy_wh for _, energy_wh, _ in made) == 3000


@settings(deadline=None)
@given(STEPS, st.integers(0, 1799))
def test_a_half_hour_that_is_no_estimate_was_read_near_its_ends(
    steps: list[tuple[int, int]], shift_s: int
) -> None:
    samples = [(at_ms + 1000 * shift_s, amount) for at_ms, amount in risen(steps)]
    for starts_at, _, quality in counted(samples):
        if quality != Quality.RAW:
            continue
        for mark_ms in (starts_at * 1000, (starts_at + 1800) * 1000):
            before = max((at_ms for at_ms, _ in samples if at_ms <= mark_ms), default=0)
            after = min((at_ms for at_ms, _ in samples if at_ms >= mark_ms), default=10**15)
            near = min(mark_ms - before, after - mark_ms) <= 60_000
            assert near or after - before <= 960_000
