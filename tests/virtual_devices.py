"""What tests of the collector share: virtual devices on ports, hosts that point at them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from meterbook.domain.host_addresses import bus_address
from meterbook.domain.modbus_numbers import BusLimits, channel_unit
from meterbook.domain.register_amounts import amount_scale
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.registry.catalogue import CatalogueModel, CatalogueRegister
from meterbook.registry.poll_plans import PolledHost, PolledRegister
from meterbook.simulate.modbus.devices import VirtualDevice, addresses_of
from meterbook.simulate.modbus.faults import Fault, Faults
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.server import BusServer, Device, VirtualBus, serve_bus

NOON_MS = 1_760_011_200_000  # 2025-10-09 12:00 UTC
MODELS = {model.name: model for model in catalogued_models()}
QUICK = BusLimits(timeout_ms=150)
"""For devices that will not answer."""
CALM = BusLimits(timeout_ms=10_000)
"""For those that will, on however slow a machine."""


def a_device(model: str = "sdm630", *faults: Fault, has_holes: bool = False) -> VirtualDevice:
    """Return a virtual device that has counted something."""
    measured = Measured(SunnyHome(seed=7), now_ms=NOON_MS - 86_400_000, before_wh=12_345_678)
    return VirtualDevice(
        MODELS[model],
        measured,
        faults=Faults(dict.fromkeys(faults, 1.0)),
        has_holes=has_holes,
    )


def a_bus(*devices: VirtualDevice, slow_s: float = 0.4) -> VirtualBus:
    """Return a bus with the devices at slave addresses 1, 2, ...; its clock stands at noon."""
    return VirtualBus(dict(enumerate(devices, 1)), clock=lambda: NOON_MS, slow_s=slow_s)


@asynccontextmanager
async def served(*devices: VirtualDevice, rtu: bool = False) -> AsyncIterator[BusServer]:
    """Serve devices behind one port."""
    server = await serve_bus(a_bus(*devices), rtu=rtu)
    try:
        yield server
    finally:
        await server.close()


class DeviceThread:
    """A loop of its own for virtual devices; their clock stands at noon."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[BusServer] = []

    def plug_in(self, *devices: Device, port: int = 0) -> BusServer:
        """Serve devices at slave addresses 1, 2, ... of one port."""
        bus = VirtualBus(dict(enumerate(devices, 1)), clock=lambda: NOON_MS)
        server: BusServer = self.do(serve_bus(bus, port=port))
        self._servers.append(server)
        return server

    def keep(self, servers: Sequence[BusServer]) -> None:
        """Close these too at the end."""
        self._servers.extend(servers)

    def pull_out(self, server: BusServer) -> None:
        """Close the port and its connections."""
        self.do(server.close())

    def stop(self) -> None:
        """End."""
        for server in self._servers:
            self.do(server.close())
        self.do(asyncio.sleep(0.1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine does there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


def polled_registers(
    model: CatalogueModel, names: Sequence[str] | None = None
) -> tuple[PolledRegister, ...]:
    """Return a model's registers as a plan has them."""
    return tuple(
        polled_register(register)
        for register in model.registers
        if names is None or register.measurement in names
    )


def polled_register(register: CatalogueRegister) -> PolledRegister:
    """Return a register as a plan has it."""
    scale = Decimal(repr(register.scale))
    return PolledRegister(
        measurement=register.measurement,
        function_code=register.function_code,
        addresses=tuple(addresses_of(register)),
        number_type=register.number_type,
        word_order=register.order_of_words,
        unit=register.unit,
        scale=scale,
        amount_scale=amount_scale(scale=scale, unit=register.unit),
        missing=frozenset(register.missing),
        scale_address=register.scale_address,
    )


def a_host(
    port: int,
    model: str = "sdm630",
    *,
    host_id: int = 1,
    slave: int = 1,
    address: str = "127.0.0.1",
    period_s: int = 60,
    limits: BusLimits = CALM,
    names: Sequence[str] | None = None,
) -> PolledHost:
    """Return a host that points at a virtual device."""
    return PolledHost(
        host_id=host_id,
        bus=bus_address(address, port=port),
        slave_address=slave,
        limits=limits,
        period_s=period_s,
        registers=polled_registers(MODELS[model], names),
    )


def expected_amounts(
    model: CatalogueModel, held: Mapping[str, Decimal | None]
) -> dict[str, int | None]:
    """Return what a poll must give for what a device holds, reckoned another way."""
    return {
        register.measurement: _expected(held[register.measurement], register.unit)
        for register in model.registers
    }


def _expected(number: Decimal | None, unit: str) -> int | None:
    if number is None:
        return None
    kept_in = channel_unit(unit)
    thousands = {"k": 1, "M": 2}[unit[0]] if kept_in != unit else 0
    thousands += kept_in != "Wh"
    # Fraction's round is half-even.
    return round(Fraction(number) * Fraction(1000**thousands))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine of a test."""
    asyncio.run(work)


def changed(host: PolledHost, **fields: object) -> PolledHost:
    """Return another picture of a host."""
    return msgspec.structs.replace(host, **fields)
