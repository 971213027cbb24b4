"""
Time that runs fast, the same in every process of a test, and a device that counts by it.

An interval of five minutes takes little more than half a second. It begins a day ahead of the real
clock, so that no job of a server takes a day of it for ended.
"""

import os
import time
from typing import Any

from meterbook.simulate.modbus.devices import VirtualDevice
from meterbook.simulate.modbus.homes import ReplayedHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.server import VirtualBus
from virtual_devices import MODELS

SPEED = 480
PERIOD_S: Any = 0.5
"""Shorter than any setting allows: four minutes of the fast clock, less than an interval."""
POWER_W = 3_600
INTERVAL_WH = POWER_W * 300 // 3_600
MODEL = "sdm630"
_ZERO_NS = "FAST_TIME_ZERO_NS"
_AHEAD_NS = 86_400 * 10**9


class FastTime:
    """Stands in for the module `time` where polls are stamped."""

    def __init__(self, zero_ns: int) -> None:
        self._zero_ns = zero_ns

    @classmethod
    def of_this_test(cls) -> "FastTime":
        """Return the one that the test has begun, in whichever process."""
        return cls(int(os.environ[_ZERO_NS]))

    @classmethod
    def begun_now(cls) -> tuple["FastTime", dict[str, str]]:
        """Return a new one, and the environment that tells other processes of it."""
        zero_ns = time.time_ns()
        return cls(zero_ns), {_ZERO_NS: str(zero_ns)}

    @property
    def began_at_ms(self) -> int:
        """When it began, on its own clock, UTC epoch milliseconds."""
        return (self._zero_ns + _AHEAD_NS) // 1_000_000

    def time_ns(self) -> int:
        """Return its present instant, UTC epoch nanoseconds."""
        return self._zero_ns + _AHEAD_NS + (time.time_ns() - self._zero_ns) * SPEED

    def now_ms(self) -> int:
        """Return its present instant, UTC epoch milliseconds."""
        return self.time_ns() // 1_000_000

    @staticmethod
    def monotonic() -> float:
        """Return real seconds: how long an answer took."""
        return time.monotonic()


def counting_bus(fast: FastTime) -> VirtualBus:
    """Return a bus with a meter that has counted a steady power since time began."""
    home = ReplayedHome([(fast.began_at_ms, POWER_W, 0)])
    measured = Measured(home, now_ms=fast.began_at_ms, before_wh=1_000_000)
    return VirtualBus({1: VirtualDevice(MODELS[MODEL], measured)}, clock=fast.now_ms)
