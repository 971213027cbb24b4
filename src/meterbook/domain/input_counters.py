"""
Counters that devices send: their samples to half-hours, by the rules of polled dials.

What follows from what is `counters`' to say: one odd sample changes nothing, a fall is no energy, a
jump beyond the rated power is none either. Here its five minutes become half-hours, which count
only when all six are known. How the energy fell within a half-hour matters to nobody here: it is
measured where its two ends are, though its samples lie minutes apart. A counter that begins at zero
again, and of which that was said, counts from zero.
"""

from collections.abc import Sequence
from math import ceil

import msgspec

from meterbook.domain.counters import (
    COUNTED_INTERVAL_S,
    CounterLimits,
    CounterState,
    EventDoesNotFitError,
    IntervalEnergy,
    KnownMarks,
    count_event,
    count_sample,
    each_interval,
)
from meterbook.domain.input_mappings import MILLIONTHS, InputMapping, Made, Sample
from meterbook.domain.readings import HALF_HOUR_S, Quality
from meterbook.domain.register_amounts import AMOUNT_MAX

MEASURED_APART_S = 960  # devices that send every quarter of an hour, a minute early or late
MEASURED_NEAR_S = 60  # a thirtieth of the half-hour: those that send once in it, at its end
RATED_POWER_W = 1_000_000  # more than a campus; a larger counter says so when it is claimed
_PARTS = HALF_HOUR_S // COUNTED_INTERVAL_S


class CounterProgress(msgspec.Struct, frozen=True, array_like=True):
    """What has to be known of the samples so far."""

    state: CounterState = CounterState()
    parts: tuple[tuple[int, int, Quality], ...] = ()
    """Five minutes of half-hours that may still change: starts_at, Wh, quality."""

    @property
    def counted_to_ms(self) -> int:
        """When the newest sample was taken in; 0: none was."""
        stretches = (self.state.trusted, self.state.suspect)
        return max((stretch.at_ms for stretch in stretches if stretch), default=0)


def count_samples(
    progress: CounterProgress,
    samples: Sequence[Sample],
    *,
    mapping: InputMapping,
    grid_offset_s: int,
) -> tuple[CounterProgress, list[Made]]:
    """
    Take the samples in and return what is known now, and the half-hours that became whole.

    :param samples: stamps strictly rising, all newer than `progress.counted_to_ms`.
    :param grid_offset_s: where the half-hours of the channel lie on the UTC grid.
    """
    limits = CounterLimits(
        hourly_max=mapping.rated_power_w or RATED_POWER_W,
        step=ceil(mapping.factor),
        marks=KnownMarks(HALF_HOUR_S, grid_offset_s, MEASURED_APART_S, MEASURED_NEAR_S),
    )
    state = progress.state
    parts: dict[int, dict[int, tuple[int, Quality]]] = {}
    for starts_at, amount, quality in progress.parts:
        _put(parts, starts_at, amount, quality, grid_offset_s)
    known = {half_hour: dict(each) for half_hour, each in parts.items()}
    for at_ms, amount in samples:
        dial = round(amount * mapping.factor / MILLIONTHS)
        if abs(dial) > AMOUNT_MAX:  # no dial that the books can hold
            continue
        state, energies = _counted(state, at_ms, dial, limits, resets=mapping.resets_to_zero)
        for starts_at, energy_wh, quality in each_interval(energies):
            _put(parts, starts_at, energy_wh, quality, grid_offset_s)
    made = [
        _whole(half_hour, parts[half_hour])
        for half_hour in sorted(parts)
        if len(parts[half_hour]) == _PARTS and parts[half_hour] != known.get(half_hour)
    ]
    # Only the half-hour at the edge can still become whole, one that a suspect stretch holds, and
    # the one to which an odd sample can lead back.
    edge = _edge(state, grid_offset_s)
    left = tuple(
        (starts_at, *parts[half_hour][starts_at])
        for half_hour in sorted(parts)
        if half_hour >= edge
        for starts_at in sorted(parts[half_hour])
    )
    return CounterProgress(state, left), made


def _counted(
    before: CounterState, at_ms: int, dial: int, limits: CounterLimits, *, resets: bool
) -> tuple[CounterState, tuple[IntervalEnergy, ...]]:
    counted = count_sample(before, at_ms=at_ms, dial=dial, limits=limits)
    gap = counted.state.gap
    if not resets or gap is None or gap == before.gap or gap.first_dial >= gap.before.dial:
        return counted.state, counted.energies
    try:
        closed = count_event(
            counted.state, at_ms=gap.before.at_ms, final=gap.before.dial, first=0, limits=limits
        )
    except EventDoesNotFitError:
        return counted.state, counted.energies
    return closed.state, (*counted.energies, *closed.energies)


def _put(
    parts: dict[int, dict[int, tuple[int, Quality]]],
    starts_at: int,
    amount: int,
    quality: Quality,
    grid_offset_s: int,
) -> None:
    half_hour = starts_at - (starts_at - grid_offset_s) % HALF_HOUR_S
    parts.setdefault(half_hour, {})[starts_at] = (amount, quality)


def _whole(half_hour: int, parts: dict[int, tuple[int, Quality]]) -> Made:
    is_estimated = any(quality is not Quality.RAW for _, quality in parts.values())
    quality = Quality.ESTIMATED_INTERPOLATED if is_estimated else Quality.RAW
    return half_hour, sum(amount for amount, _ in parts.values()), quality


def _edge(state: CounterState, grid_offset_s: int) -> int:
    stretch = state.before or state.trusted or state.suspect
    at = stretch.at_ms // 1000 if stretch else 0
    return at - (at - grid_offset_s) % HALF_HOUR_S
