"""
What an input of a device means, and the readings its samples make.

An input is a bare number with a name: whoever claims it says what the number is.

    momentary   230.1, 230.4, ...       mean of each five minutes          (INSTANT)
    counter     1204.1, 1204.3, ...     advance between half-hour marks    (INTERVAL)
    interval    0.31, 0.28, ...         energy of the interval it ends     (INTERVAL)

Readings are a function of the samples alone: made again, from more samples or the same, they are
the same readings, so that nothing is ever counted twice.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import groupby

import msgspec

from meterbook.domain.readings import HALF_HOUR_S, Counting, Quality
from meterbook.domain.register_amounts import AMOUNT_MAX

MOMENTARY_S = 300
MILLIONTHS = 1_000_000

Sample = tuple[int, int]
"""When, UTC epoch milliseconds, and the amount in millionths of the input's own unit."""
Made = tuple[int, int, Quality]
"""starts_at, UTC epoch seconds; whole Wh or thousandths of the channel's unit; quality."""


class Mapping(StrEnum):
    """What an input's numbers are."""

    MOMENTARY = "momentary"
    COUNTER = "counter"
    INTERVAL = "interval"

    @property
    def counting(self) -> Counting:
        """How the numbers of its channel count."""
        return Counting.INSTANT if self is Mapping.MOMENTARY else Counting.INTERVAL

    @property
    def channel_interval_s(self) -> int:
        """How long an interval of its channel is."""
        return MOMENTARY_S if self is Mapping.MOMENTARY else HALF_HOUR_S


class InputMapping(msgspec.Struct, frozen=True):
    """What one input's numbers are, in full."""

    mapping: Mapping
    factor: Fraction
    """Wh, or the channel's unit, in one unit of the input."""
    resets_to_zero: bool = False
    """Whether the counter begins at zero again, as those that forget at power-down do."""
    rated_power_w: int | None = None
    """The most a counter's energy can rise in an hour, Wh; None: what is usual."""
    length_s: int = HALF_HOUR_S
    """How long each interval of an interval input is; it ends at the sample's stamp."""


ENERGY_UNITS = {
    "Wh": Fraction(1),
    "kWh": Fraction(1000),
    "MWh": Fraction(1_000_000),
    "GWh": Fraction(1_000_000_000),
    "Wmin": Fraction(1, 60),
    "Ws": Fraction(1, 3600),
    "J": Fraction(1, 3600),
    "kJ": Fraction(1000, 3600),
    "MJ": Fraction(1_000_000, 3600),
}
"""Wh in one of each."""


def decimal_factor(written: str) -> Fraction:
    """
    Return a factor as people write it: 1000, 0.001 or 1/60.

    :raises ValueError: if it is none, not positive, or beyond a billion either way.
    """
    try:
        factor = Fraction(written)
    except (ValueError, ZeroDivisionError):
        raise ValueError("must be a number, such as 0.001 or 1/60") from None
    if not Fraction(1, 10**9) <= factor <= 10**9:
        raise ValueError("must lie between a billionth and a billion")
    return factor


def readings_of(
    samples: Sequence[Sample], *, mapping: InputMapping, grid_offset_s: int, now: int
) -> list[Made]:
    """
    Return the readings that the samples make, rising; of intervals that have ended.

    Counters have a module of their own, `input_counters`. An amount beyond what the books can hold
    is no reading: it is missing.

    :param samples: stamps strictly rising.
    :param grid_offset_s: where the half-hours of the channel lie on the UTC grid.
    """
    if mapping.mapping is Mapping.MOMENTARY:
        made = _means(samples, mapping, now)
    else:
        made = _sums(samples, mapping, grid_offset_s)
    return [item for item in made if abs(item[1]) <= AMOUNT_MAX]


def _means(samples: Sequence[Sample], mapping: InputMapping, now: int) -> Iterator[Made]:
    for slot, group in groupby(samples, lambda sample: sample[0] // (MOMENTARY_S * 1000)):
        starts_at = slot * MOMENTARY_S
        if starts_at + MOMENTARY_S > now:
            return
        amounts = [amount for _, amount in group]
        mean = Fraction(sum(amounts), len(amounts)) * mapping.factor
        yield starts_at, round(mean * 1000 / MILLIONTHS), Quality.RAW


def _sums(samples: Sequence[Sample], mapping: InputMapping, grid_offset_s: int) -> Iterator[Made]:
    parts = HALF_HOUR_S // mapping.length_s

    def ended(sample: Sample) -> int:
        # Rounded to the nearest end: devices stamp some seconds after it.
        steps = (sample[0] + 500 * mapping.length_s) // (1000 * mapping.length_s)
        return steps * mapping.length_s - mapping.length_s

    def half_hour(sample: Sample) -> int:
        starts_at = ended(sample)
        return starts_at - (starts_at - grid_offset_s) % HALF_HOUR_S

    for starts_at, group in groupby(samples, half_hour):
        by_part = {ended(sample): sample[1] for sample in group}
        # Part of a half-hour is not its energy: until all parts are there it is missing.
        if len(by_part) == parts:
            total = sum(by_part.values()) * mapping.factor
            yield starts_at, round(total / MILLIONTHS), Quality.RAW
