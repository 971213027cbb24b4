"""
What a virtual home draws and its roof gives: a function of time, the same for the same seed.

    SunnyHome     a sun by the real clock and place, clouds, a house that wakes, cooks and sleeps
    ReplayedHome  a given profile, each line standing until the next
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import cos, pi
from random import Random
from typing import Protocol

import msgspec

from meterbook.simulate.modbus.sun import clear_sky_w_per_m2, sine_of_elevation

STEP_MS = 10_000  # the house and the sun change every ten seconds
_CLOUD_MS = 600_000
_APPLIANCE_MS = 900_000
_DAY_MS = 86_400_000
_APPLIANCES_W = (0, 0, 0, 80, 150, 400, 900, 1500, 2000, 2400)


class Powers(msgspec.Struct, frozen=True):
    """What flows for a time, half-open."""

    starts_at_ms: int
    ends_at_ms: int
    load_w: int
    pv_w: int


class VirtualHome(Protocol):
    """Says what flows when."""

    def powers(self, from_ms: int, to_ms: int) -> Iterator[Powers]:
        """Yield what flows from one instant up to another, without gaps."""


class SunnyHome(msgspec.Struct, frozen=True):
    """A home with a roof, anywhere."""

    seed: int
    latitude: float = 51.5
    longitude: float = -0.1
    peak_w: int = 6_000
    """What the array gives at 1000 W/m²."""

    def powers(self, from_ms: int, to_ms: int) -> Iterator[Powers]:
        """Yield what flows, in steps of ten seconds on the full ten seconds."""
        at = from_ms
        while at < to_ms:
            step = at // STEP_MS
            ends_at = min(to_ms, (step + 1) * STEP_MS)
            middle = step * STEP_MS + STEP_MS // 2
            yield Powers(at, ends_at, self._load_w(middle), self._pv_w(middle))
            at = ends_at

    def power_at(self, at_ms: int) -> tuple[int, int]:
        """Return what the house draws and the roof gives at an instant, in W."""
        return self._load_w(at_ms), self._pv_w(at_ms)

    def _pv_w(self, at_ms: int) -> int:
        sine = sine_of_elevation(at_ms / 1000, latitude=self.latitude, longitude=self.longitude)
        clear = clear_sky_w_per_m2(sine)
        return round(self.peak_w * clear / 1000 * self._clearness(at_ms))

    def _clearness(self, at_ms: int) -> float:
        day = 0.25 + 0.75 * _chances(f"{self.seed} sky {at_ms // _DAY_MS}")[0]
        cloud, share = divmod(at_ms, _CLOUD_MS)
        blend = (1 - cos(pi * share / _CLOUD_MS)) / 2
        first, second = (_chances(f"{self.seed} cloud {n}")[0] for n in (cloud, cloud + 1))
        return day + (1 - day) * (first * (1 - blend) + second * blend) * 0.8

    def _load_w(self, at_ms: int) -> int:
        hour = (at_ms / 3_600_000 + self.longitude / 15) % 24
        awake = 1.0 if 6.5 <= hour < 22.5 else 0.35  # noqa: PLR2004 when people sleep
        evening = 1.6 if 17 <= hour < 21 else 1.0  # noqa: PLR2004 when they cook
        on, which = _chances(f"{self.seed} appliance {at_ms // _APPLIANCE_MS}")
        appliance = on < 0.4 * awake * evening
        appliance_w = appliance * _APPLIANCES_W[int(which * len(_APPLIANCES_W))]
        # Knuth's multiplicative hash: a flicker a step must cost next to nothing.
        flicker = ((at_ms // STEP_MS + self.seed) * 2_654_435_761 % 2**32) / 2**32
        return round((180 + 240 * awake * evening) * (0.9 + 0.2 * flicker) + appliance_w)


@lru_cache(maxsize=1 << 14)
def _chances(text: str) -> tuple[float, float]:
    chance = Random(text)
    return chance.random(), chance.random()


class ReplayedHome:
    """A home that replays a profile, faster or slower."""

    def __init__(self, profile: Sequence[tuple[int, int, int]]) -> None:
        """
        Prepare.

        :param profile: (instant in ms, load in W, PV in W), rising; the first line also stands
            before it, the last one for good. A device whose clock runs fast replays it fast.
        """
        self._starts = [instant for instant, _, _ in profile]
        self._lines = list(profile)

    def powers(self, from_ms: int, to_ms: int) -> Iterator[Powers]:
        """Yield the profile's lines between the two instants."""
        index = max(0, bisect_right(self._starts, from_ms) - 1)
        at = from_ms
        while at < to_ms:
            last = index + 1 >= len(self._starts)
            ends_at = to_ms if last else min(to_ms, max(at, self._starts[index + 1]))
            _, load_w, pv_w = self._lines[index]
            if ends_at > at:
                yield Powers(at, ends_at, load_w, pv_w)
            at = ends_at
            index += not last
