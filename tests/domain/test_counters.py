"""Counters: what the samples allow knowing is counted to the Wh, everything else says so."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from meterbook.domain.counters import (
    COUNTED_INTERVAL_S,
    CounterLimits,
    CounterState,
    EventDoesNotFitError,
    count_event,
    count_sample,
    each_interval,
)
from meterbook.domain.readings import Quality

MINUTE = 60_000
T0 = 1_738_972_800_000  # a UTC midnight
LIMITS = CounterLimits(hourly_max=10_000, step=100, rollovers=(10_000_000,))
MOST_A_MINUTE = 10_000 // 60
Intervals = dict[int, tuple[int, Quality]]


class Book:
    """Takes samples in, through its stored form every time, and keeps what they led to."""

    def __init__(self, limits: CounterLimits = LIMITS) -> None:
        self.state = CounterState()
        self.limits = limits
        self.intervals: Intervals = {}
        self.questionable: list[int] = []

    def read(self, at_ms: int, dial: int) -> None:
        """Take one sample in."""
        counted = count_sample(self.stored(), at_ms=at_ms, dial=dial, limits=self.limits)
        self.state = counted.state
        if counted.is_questionable:
            self.questionable.append(at_ms)
        if counted.odd is not None:
            self.questionable[-1] = counted.odd[0]
        for starts_at, amount, quality in each_interval(counted.energies):
            assert starts_at not in self.intervals or counted.odd, "an interval counts once"
            self.intervals[starts_at] = (amount, quality)

    def stored(self) -> CounterState:
        """Return the state as the database gives it back."""
        return msgspec.json.decode(msgspec.json.encode(self.state), type=CounterState)

    def exchange(self, at_ms: int, *, final: int, first: int) -> None:
        """Tell of an exchange."""
        counted = count_event(
            self.stored(), at_ms=at_ms, final=final, first=first, limits=self.limits
        )
        self.state = counted.state
        for starts_at, amount, quality in each_interval(counted.energies):
            assert starts_at not in self.intervals
            self.intervals[starts_at] = (amount, quality)

    def read_minutes(self, first: int, dials: Sequence[int]) -> None:
        """Take in a sample a minute."""
        for index, dial in enumerate(dials):
            self.read(T0 + (first + index) * MINUTE, dial)

    @property
    def total(self) -> int:
        """The energy of all intervals."""
        return sum(amount for amount, _ in self.intervals.values())


def steady(first: int, minutes: int, *, each: int = 10) -> list[int]:
    return [first + each * i for i in range(minutes)]


def test_a_steady_counter_gives_every_interval_once_and_nothing_is_estimated() -> None:
    book = Book()
    book.read_minutes(0, steady(1_000, 61))
    assert book.intervals == {T0 // 1000 + 300 * i: (50, Quality.RAW) for i in range(12)}
    assert book.questionable == []


@pytest.mark.parametrize("odd", [0, 990, 4_294_967_295, -1, 1_600_000], ids=str)
def test_one_odd_sample_changes_nothing(odd: int) -> None:
    book, undisturbed = Book(), Book()
    dials = steady(1_000, 121)
    undisturbed.read_minutes(0, dials)
    book.read_minutes(0, [*dials[:47], odd, *dials[48:]])
    assert book.total == undisturbed.total == 1_200
    assert book.questionable == [T0 + 47 * MINUTE]
    assert {start: amount for start, (amount, _) in book.intervals.items()} == {
        start: amount for start, (amount, _) in undisturbed.intervals.items()
    }


@pytest.mark.parametrize("place", range(44, 52), ids=str)
@pytest.mark.parametrize("rise", [31, 150, 266])
def test_an_odd_sample_that_could_be_true_changes_nothing_once_two_more_are_there(
    rise: int, place: int
) -> None:
    book, undisturbed = Book(), Book()
    dials = steady(1_000, 121)
    undisturbed.read_minutes(0, dials[: place + 3])
    book.read_minutes(0, [*dials[:place], dials[place - 1] + rise, *dials[place + 1 : place + 3]])
    assert book.intervals == undisturbed.intervals
    assert book.questionable == [T0 + place * MINUTE]
    for each in (book, undisturbed):
        each.read_minutes(place + 3, dials[place + 3 :])
    assert book.intervals == undisturbed.intervals


def test_an_odd_first_sample_after_an_outage_is_taken_back_too() -> None:
    book = Book()
    book.read_minutes(0, steady(1_000, 61))
    book.read_minutes(300, [30_000, *steady(4_010, 60)])
    assert book.total == 600 + 2_400 + 600
    assert len(book.intervals) == 72


def test_an_old_value_shown_again_costs_nothing_however_often() -> None:
    book, undisturbed = Book(), Book()
    dials = steady(1_000, 121)
    undisturbed.read_minutes(0, dials)
    for stale in range(1, 6):
        book = Book()
        book.read_minutes(0, [*dials[:47], *[dials[45]] * stale, *dials[47 + stale :]])
        assert book.total == undisturbed.total
        assert book.intervals.keys() == undisturbed.intervals.keys()


def test_a_counter_that_has_just_begun_and_begins_again_is_not_taken_back() -> None:
    book = Book()
    book.read_minutes(0, [*[0] * 16, 200, *steady(0, 45)])
    assert book.total == 8 * 50
    assert T0 // 1000 + 15 * 60 not in book.intervals, "what was counted until it began again"


def test_zeros_all_night_are_no_new_epoch_and_the_morning_counts_once() -> None:
    book = Book()
    book.read_minutes(0, steady(5_000_000, 61, each=0))
    book.read_minutes(61, [0] * 600)
    book.read_minutes(661, steady(5_000_000, 60))
    assert book.total == 59 * 10
    assert len(book.questionable) == 600
    assert len(book.intervals) == 144
    assert book.intervals[T0 // 1000 + 6 * 3600] == (0, Quality.ESTIMATED_INTERPOLATED)


def test_a_reset_is_believed_after_samples_and_minutes_and_only_its_interval_is_missing() -> None:
    book = Book()
    book.read_minutes(0, steady(900_000, 63))
    book.read_minutes(63, steady(0, 9))
    assert len(book.intervals) == 12
    book.read_minutes(72, steady(90, 60))
    missing = T0 // 1000 + 60 * 60
    assert sorted(set(range(T0 // 1000, T0 // 1000 + 130 * 60, 300)) - set(book.intervals)) == [
        missing
    ]
    assert set(book.intervals.values()) == {(50, Quality.RAW)}


def test_a_reset_during_an_outage_leaves_the_outage_missing_never_zero() -> None:
    book = Book()
    book.read_minutes(0, steady(900_000, 61))
    book.read_minutes(60 + 240, steady(0, 61))
    outage = range(T0 // 1000 + 3600, T0 // 1000 + 18_000, 300)
    assert not set(outage) & set(book.intervals)
    assert book.total == 600 + 600


def test_an_outage_is_spread_over_the_gap_and_marked_with_the_total_preserved() -> None:
    book = Book()
    book.read_minutes(0, steady(1_000, 61))
    book.read_minutes(60 + 240, steady(1_000 + 600 + 480, 61))
    assert book.total == 600 + 480 + 600
    in_gap = [book.intervals[T0 // 1000 + 3600 + 300 * i] for i in range(48)]
    assert in_gap == [(10, Quality.ESTIMATED_INTERPOLATED)] * 48
    assert book.intervals[T0 // 1000 + 18_000] == (50, Quality.RAW)


def test_samples_years_apart_are_of_a_clock_that_was_wrong_and_nothing_is_spread_over_them() -> (
    None
):
    book = Book()
    book.read_minutes(0, steady(1_000, 61))
    years = 4 * 365 * 24 * 60
    book.read_minutes(years, steady(1_600, 61))
    assert book.total == 600 + 600
    assert len(book.intervals) == 24


def test_a_jump_beyond_rated_power_waits_and_counts_once_the_time_has_made_it_possible() -> None:
    book = Book()
    book.read_minutes(0, steady(0, 61, each=0))
    book.read_minutes(61, [1_000] * 20)
    assert book.total == 1_000
    assert book.questionable


@pytest.mark.parametrize("end", [10_000_000, 65_536])
def test_a_rollover_loses_nothing_and_is_not_believed_before_it_is_confirmed(end: int) -> None:
    book = Book(msgspec.structs.replace(LIMITS, rollovers=(65_536, 10_000_000)))
    dials = [dial % end for dial in steady(end - 605, 181)]
    book.read_minutes(0, dials)
    assert book.total == 1_800
    assert {quality for _, quality in book.intervals.values()} == {Quality.RAW}


def test_the_very_first_sample_is_not_trusted_alone() -> None:
    book = Book()
    book.read_minutes(0, [0, *steady(5_000_000, 60)])
    assert book.total == 11 * 50
    assert T0 // 1000 not in book.intervals


def test_samples_that_are_not_newer_change_nothing() -> None:
    book = Book()
    book.read_minutes(0, steady(0, 61))
    before = book.state
    book.read_minutes(0, steady(0, 61, each=20))
    assert book.state == before


def test_a_counter_read_every_quarter_of_an_hour_is_estimated_within_and_exact_over_it() -> None:
    book = Book()
    for quarter in range(9):
        book.read(T0 + quarter * 15 * MINUTE, quarter * 100)
    amounts = [book.intervals[T0 // 1000 + 300 * i] for i in range(24)]
    assert amounts[:3] == [(33, Quality.ESTIMATED_INTERPOLATED)] * 1 + [
        (34, Quality.ESTIMATED_INTERPOLATED), (33, Quality.ESTIMATED_INTERPOLATED)
    ]  # fmt: skip
    assert sum(amount for amount, _ in amounts) == 800


@pytest.mark.parametrize("told_at", [0, 4, 40], ids=["at once", "while suspect", "much later"])
def test_an_exchange_that_is_told_loses_nothing_whenever_it_is_told(told_at: int) -> None:
    book = Book()
    book.read_minutes(0, steady(900_000, 63))
    new_meter = steady(7 + 10, 121)

    def tell() -> None:
        book.exchange(T0 + 62 * MINUTE + 30_000, final=900_625, first=12)

    for index, dial in enumerate(new_meter):
        if index == told_at:
            tell()
        book.read(T0 + (63 + index) * MINUTE, dial)
    assert book.total == 36 * 50
    assert len(book.intervals) == 36
    assert {quality for _, quality in book.intervals.values()} == {Quality.RAW}


@pytest.mark.parametrize(
    ("minute", "final", "first"),
    [(10, 900_700, 0), (62, 900_000, 0), (62, 900_630, 5_000_000), (62, 900_625_000, 0)],
    ids=[
        "where nothing was missing",
        "less than was read",
        "more than came after",
        "more than it can have counted",
    ],
)
def test_an_exchange_that_contradicts_the_samples_is_refused(
    minute: int, final: int, first: int
) -> None:
    book = Book()
    book.read_minutes(0, steady(900_000, 63))
    book.read_minutes(63, steady(17, 40))
    with pytest.raises(EventDoesNotFitError):
        book.exchange(T0 + minute * MINUTE, final=final, first=first)


# --- the law -----------------------------------------------------------------------------------

deed = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 200)),
    st.tuples(st.just("still"), st.integers(1, 60)),
    st.tuples(st.just("glitch"), st.sampled_from([0, -5, 2**32 - 1, 777_777_777])),
    st.tuples(st.just("spike"), st.integers(1, MOST_A_MINUTE)),
    st.tuples(st.just("outage"), st.integers(1, 600)),
    # To no value a glitch shows: a 0 that goes on from 0 is a reset at the time of the glitch.
    st.tuples(st.just("reset"), st.integers(10_000, 10_050)),
)


def play(
    deeds: Sequence[tuple[str, int]], powers: Sequence[int], phase_ms: int, start: int
) -> tuple[Book, list[tuple[int, int, int]]]:
    """Read a meter through all that, and return the book and (instant, true energy, epoch)."""
    book = Book()
    truth: list[tuple[int, int, int]] = []
    minute, true, base, epoch = 0, 0, start, 0

    def read(dial: int) -> None:
        at_ms = T0 + minute * MINUTE + phase_ms
        truth.append((at_ms, true, epoch))
        book.read(at_ms, dial)

    def run(minutes: int, *, still: bool = False, is_read: bool = True) -> None:
        nonlocal minute, true
        for _ in range(minutes):
            minute += 1
            true += powers[minute % len(powers)] * (not still)
            if is_read:
                read(base + true)

    for kind, amount in [("run", 15), *deeds, ("run", 30)]:
        match kind:
            case "run" | "still":
                run(amount, still=kind == "still")
            case "glitch":
                run(1, is_read=False)
                read(amount)
            case "spike":
                run(1, is_read=False)
                read(base + true + amount)
                run(2)
            case "outage":
                run(amount, is_read=False)
            case _:
                run(1, is_read=False)
                base, epoch = amount - true, epoch + 1
                run(15)  # a reset device goes on, at least for a while
    return book, truth


def true_at(instant_ms: int, truth: list[tuple[int, int, int]]) -> Fraction:
    at = bisect_right(truth, (instant_ms, 2**62, 0))
    earlier, later = truth[at - 1], truth[min(at, len(truth) - 1)]
    if earlier[0] == instant_ms or later[0] == earlier[0]:
        return Fraction(earlier[1])
    part = Fraction(instant_ms - earlier[0], later[0] - earlier[0])
    return earlier[1] + part * (later[1] - earlier[1])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(deed, max_size=12),
    st.lists(st.integers(5, MOST_A_MINUTE), min_size=1, max_size=7),
    st.integers(0, MINUTE - 1),
    st.sampled_from([123_456, 50_000_000]),
)
def test_the_intervals_add_up_to_the_true_advance_wherever_the_counter_tells_it(
    deeds: list[tuple[str, int]], powers: list[int], phase_ms: int, start: int
) -> None:
    book, truth = play(deeds, powers, phase_ms, start)
    starts = sorted(book.intervals)
    kinds = {kind for kind, _ in deeds}
    for kind in kinds:
        event(kind)
    # What is missing is missing because an epoch ended there, or nothing was trusted yet.
    first_end = truth[0][0] // 1000 + 2 * COUNTED_INTERVAL_S
    for earlier, later in pairwise(starts):
        if later - earlier > COUNTED_INTERVAL_S:
            event("a gap")
            assert "reset" in kinds
            assert any(earlier * 1000 <= at <= (later + 300) * 1000 for at in book.questionable)
    assert starts
    assert starts[0] <= first_end
    # A mark is read between two samples a minute apart, or beside a glitch two: so exact is it.
    # A spike that the next samples reach could be true, and stays.
    tolerance = (3 if "spike" in kinds else 2) * MOST_A_MINUTE + 1
    for run in runs(starts):
        if any(book.intervals[s][1] is Quality.ESTIMATED_INTERPOLATED for s in (run[0], run[-1])):
            continue
        expected = true_at((run[-1] + COUNTED_INTERVAL_S) * 1000, truth) - true_at(
            run[0] * 1000, truth
        )
        assert abs(sum(book.intervals[s][0] for s in run) - expected) <= tolerance
    # And each that does not say it is estimated is what it was.
    for begin, (amount, quality) in book.intervals.items():
        if quality is Quality.RAW:
            true = true_at((begin + COUNTED_INTERVAL_S) * 1000, truth) - true_at(
                begin * 1000, truth
            )
            assert abs(amount - true) <= tolerance


@settings(max_examples=150, deadline=None)
@given(
    st.lists(deed.filter(lambda d: d[0] != "reset"), max_size=12),
    st.lists(st.integers(0, MOST_A_MINUTE), min_size=1, max_size=7),
    st.integers(0, MINUTE - 1),
)
def test_without_a_reset_no_interval_is_ever_missing_and_the_sum_is_exact(
    deeds: list[tuple[str, int]], powers: list[int], phase_ms: int
) -> None:
    book, truth = play(deeds, powers, phase_ms, 50_000_000)
    starts = sorted(book.intervals)
    assert starts == list(range(starts[0], starts[-1] + 1, COUNTED_INTERVAL_S))
    glitches = set(book.questionable)
    trusted = [sample for sample in truth if sample[0] not in glitches]
    ends = [starts[0] * 1000, (starts[-1] + COUNTED_INTERVAL_S) * 1000]
    before, after = (round(true_at(end, trusted)) for end in ends)
    assert abs(book.total - (after - before)) <= 1


def runs(starts: list[int]) -> list[list[int]]:
    """Return the starts in runs without a hole."""
    found: list[list[int]] = []
    for start in starts:
        if found and start - found[-1][-1] == COUNTED_INTERVAL_S:
            found[-1].append(start)
        else:
            found.append([start])
    return found
