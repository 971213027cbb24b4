"""
Many virtual devices in one process: each on a port of its own, at a home of its own.

The same seed gives the same homes; only the counters' starts differ from port to port.
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from meterbook.domain.sunspec import SunSpecModel
from meterbook.registry.catalogue import CatalogueModel
from meterbook.simulate.modbus.devices import Clock, VirtualDevice
from meterbook.simulate.modbus.faults import Fault, Faults
from meterbook.simulate.modbus.homes import SunnyHome, VirtualHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.server import BusServer, Device, VirtualBus, serve_bus
from meterbook.simulate.modbus.sunspec_device import VirtualSunSpecDevice

SUNSPEC = "sunspec"
SUNSPEC_MODELS = (1, 103, 120, 160)
_BEFORE_WH = 1_000_000


class UnknownModelError(ValueError):
    """No model of that name in the catalogue."""


class Makes(msgspec.Struct, frozen=True):
    """What devices can be made of."""

    models: Mapping[str, CatalogueModel]
    sunspec: Mapping[int, SunSpecModel]

    def device(
        self,
        name: str,
        home: VirtualHome,
        *,
        now_ms: int,
        seed: int = 0,
        faults: Mapping[Fault, float] | None = None,
        before_wh: int = _BEFORE_WH,
    ) -> Device:
        """
        Return a device of that model, switched on at the instant.

        :raises UnknownModelError: if there is none.
        """
        measured = Measured(home, now_ms=now_ms, before_wh=before_wh)
        trouble = Faults(dict(faults or {}), seed=seed)
        if name == SUNSPEC:
            facts = [self.sunspec[number] for number in SUNSPEC_MODELS]
            return VirtualSunSpecDevice(facts, measured, faults=trouble)
        if name not in self.models:
            known = ", ".join(sorted(self.models))
            raise UnknownModelError(f"no model {name} in the catalogue; there are {known}")
        return VirtualDevice(self.models[name], measured, faults=trouble)


def wall_clock_ms() -> int:
    """Return the present instant, UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def fast_clock(speed: float, *, began_at_ms: int = 0) -> Clock:
    """Return a clock that begins at an instant now and runs that many times as fast."""
    begun = time.monotonic()

    def now_ms() -> int:
        return began_at_ms + round((time.monotonic() - begun) * 1000 * speed)

    return now_ms


async def serve_crowd(
    makes: Makes,
    *,
    model: str,
    first_port: int,
    count: int = 1,
    host: str = "127.0.0.1",
    seed: int = 1,
    faults: Mapping[Fault, float] | None = None,
    home: VirtualHome | None = None,
    clock: Clock = wall_clock_ms,
    began_at_ms: int | None = None,
    rtu: bool = False,
) -> Sequence[BusServer]:
    """
    Serve one device on each of `count` ports from the first on.

    :param first_port: 0: any free ones.
    :param home: of all of them; None: each has a home of its own with a sun.
    :param began_at_ms: when they were switched on, on their clock; None: now.
    :raises UnknownModelError: if there is no such model.
    """
    servers = []
    for number in range(count):
        of_its_own = SunnyHome(seed=seed + number, peak_w=3_000 + 1_000 * (number % 6))
        device = makes.device(
            model,
            home or of_its_own,
            now_ms=clock() if began_at_ms is None else began_at_ms,
            seed=seed + number,
            faults=faults,
            before_wh=_BEFORE_WH + 137 * number,
        )
        bus = VirtualBus({1: device}, clock=clock)
        port = first_port + number if first_port else 0
        servers.append(await serve_bus(bus, host=host, port=port, rtu=rtu))
    return servers
