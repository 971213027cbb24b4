"""
Virtual homes: each replays a real one, a little larger or smaller and a few weeks apart.

Pure and seeded: the same seed, meter and half hour always give the same energy, so that two
processes that are asked for the same half hour agree to the Wh.
"""

from collections.abc import Iterator, Sequence
from random import Random

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.simulate.real_homes import MISSING, IntColumn, RealHome

REGIONS = ("Central London", "North London", "East London", "South London", "West London")
SPREAD_S = 50  # all packets of a half hour are sent within the minute their stamp names
_WEEK_S = 7 * 86_400
_WEEKS_APART_MAX = 3  # neighbours of one real home differ, the season still fits
_OUTAGE_S = 4 * 3_600
_OUTAGES_SHARE = 0.5  # half of what is missing comes in outages, half alone


class Habits(msgspec.Struct, frozen=True):
    """How far the homes of a fleet may differ from the real ones."""

    scale_min: float = 0.5
    scale_max: float = 1.6
    jitter: float = 0.15
    """Largest share by which one half hour differs from the scaled real one."""
    missing_share: float = 0.0
    """Share of half-hours that are never sent, alone or in outages of four hours."""


class Home(msgspec.Struct, frozen=True):
    """One virtual home and its meter."""

    meter_id: int
    real: RealHome
    region: str
    scale: float
    weeks_apart: int
    """By how many weeks it is ahead of its real home."""
    spread_s: int
    """How long after :01 and :31 its meter sends."""
    jitter: float
    missing_share: float
    seed: int

    def readings(self, starts_at: IntColumn) -> IntColumn:
        """Return the energy of those half-hours, in Wh or MISSING; both of shape (n,)."""
        real = self.real.energy_at(starts_at + self.weeks_apart * _WEEK_S)
        swing = 2 * self._chance(starts_at // HALF_HOUR_S, "jitter") - 1
        energy = np.rint(real * (self.scale * (1 + self.jitter * swing))).astype(np.int64)
        alone = self.missing_share * (1 - _OUTAGES_SHARE)
        outage = self.missing_share * _OUTAGES_SHARE
        lost = (self._chance(starts_at // HALF_HOUR_S, "alone") < alone) | (
            self._chance(starts_at // _OUTAGE_S, "outage") < outage
        )
        return np.where((real == MISSING) | lost, MISSING, energy)

    def reading(self, starts_at: int) -> int | None:
        """Return the energy of one half hour, in Wh; None where the home has none."""
        energy = int(self.readings(np.array([starts_at], dtype=np.int64))[0])
        return None if energy == MISSING else energy

    def _chance(self, numbers: IntColumn, purpose: str) -> npt.NDArray[np.float64]:
        return chances(numbers, f"{self.seed} {self.meter_id} {purpose}")


def home(
    meter_id: int, *, seed: int, real_homes: Sequence[RealHome], habits: Habits | None = None
) -> Home:
    """Return the meter's home: which real one, how large and how far apart, says the seed."""
    habits = habits or Habits()
    chance = Random(f"{seed} {meter_id}")
    return Home(
        meter_id=meter_id,
        real=chance.choice(real_homes),
        region=REGIONS[meter_id % len(REGIONS)],
        scale=chance.uniform(habits.scale_min, habits.scale_max),
        weeks_apart=chance.randint(-_WEEKS_APART_MAX, _WEEKS_APART_MAX),
        spread_s=chance.randrange(SPREAD_S),
        jitter=habits.jitter,
        missing_share=habits.missing_share,
        seed=seed,
    )


def chances(numbers: IntColumn, purpose: str) -> npt.NDArray[np.float64]:
    """Return a number from 0 to below 1 for each, always the same for the purpose; shape (n,)."""
    key = Random(purpose).getrandbits(64)
    return _mixed(numbers.astype(np.uint64) ^ np.uint64(key)) / 2.0**64


class FleetTooLargeError(ValueError):
    """The fleet would need meter IDs beyond the last one."""


def fleet(
    count: int,
    *,
    first_id: int,
    seed: int,
    real_homes: Sequence[RealHome],
    habits: Habits | None = None,
) -> Iterator[Home]:
    """
    Return the homes of the meters first_id, first_id + 1, ..., each made when it is asked for.

    :raises FleetTooLargeError: if the last meter ID would be more than 999999999.
    """
    if first_id + count - 1 > METER_ID_MAX:
        raise FleetTooLargeError(f"{count} meters from {first_id} on end after {METER_ID_MAX}")
    return (
        home(number, seed=seed, real_homes=real_homes, habits=habits)
        for number in range(first_id, first_id + count)
    )


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # SplitMix64's finalizer (Steele, Lea, Flood 2014): neighbours in, no pattern out.
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
