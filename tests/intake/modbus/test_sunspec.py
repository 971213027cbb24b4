"""SunSpec: devices say what they are, and what they offer is polled to the last digit."""

import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from meterbook.domain.sunspec import SunSpecFactsError, points_of
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import poll
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.intake.modbus.sunspec import discover, sunspec_models
from meterbook.registry.sunspec_layouts import NotDiscoveredError, SunSpecDevice
from meterbook.simulate.modbus import sunspec_device
from meterbook.simulate.modbus.faults import Fault, Faults
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.server import VirtualBus, serve_bus
from meterbook.simulate.modbus.sunspec_device import VirtualSunSpecDevice
from virtual_devices import NOON_MS, a_device, a_host, changed, polled_register, run, served


def virtual(*models: int, base: int = 40_000, faults: Faults | None = None) -> VirtualSunSpecDevice:
    measured = Measured(SunnyHome(seed=3), now_ms=NOON_MS - 7_200_000, before_wh=4_321_000)
    facts = [sunspec_models()[number] for number in models]
    return VirtualSunSpecDevice(facts, measured, base=base, faults=faults)


async def discovered(device: VirtualSunSpecDevice) -> tuple[SunSpecDevice, dict[str, int | None]]:
    """Return what a device offers, and a poll of all of it."""
    server = await serve_bus(VirtualBus({1: device}, clock=lambda: NOON_MS))
    bus = Bus()
    host = changed(a_host(server.port), registers=())
    found = await discover(host, bus)
    whole = changed(host, registers=tuple(map(polled_register, found.registers)))
    result = await poll(HostReader(whole, bus), patient=True)
    bus.close()
    await server.close()
    assert result.failures == {}
    return found, result.amounts


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
@pytest.mark.parametrize(
    "model", [101, 102, 103, 111, 112, 113, 201, 202, 203, 204, 211, 212, 213, 214]
)
def test_every_model_is_found_and_polled_to_the_last_digit(model: int, base: int) -> None:
    async def work() -> None:
        device = virtual(1, model, base=base)
        found, amounts = await discovered(device)
        assert found.base == base
        assert [part.id for part in found.models] == [1, model]
        assert (found.manufacturer, found.product) == ("Meterbook", "Virtual Sun")
        held = device.held(now_ms=NOON_MS)
        assert amounts["active_power"] == expected(held[model, "active_power"], "W")
        for register in found.registers:
            told = held[model, register.measurement]
            if told is not None and register.scale != 1:
                told *= Decimal(repr(register.scale))
            assert amounts[register.measurement] == expected(told, register.unit)
        energy = amounts["active_energy_produced"]
        assert energy is not None
        assert energy >= 4_321_000 * (model < 200)

    run(work())


def expected(number: Decimal, unit: str) -> int:
    return round(Fraction(number) * Fraction(1 if unit == "Wh" else 1000))


def test_an_inverter_with_strings_and_a_meter_keeps_their_measurements_apart() -> None:
    async def work() -> None:
        device = virtual(1, 103, 120, 121, 160, 203, 213)
        found, amounts = await discovered(device)
        held = device.held(now_ms=NOON_MS)
        assert amounts["active_power"] == expected(held[103, "active_power"], "W")
        assert amounts["meter_active_power"] == expected(held[203, "active_power"], "W")
        assert amounts["meter2_active_power"] == expected(held[213, "active_power"], "W")
        assert amounts["meter_active_energy_consumed"] == held[203, "active_energy_consumed"]
        assert amounts["power_dc_mppt2"] == expected(held[160, "power_dc_mppt2"], "W")
        assert amounts["energy_dc_produced_mppt1"] == held[160, "energy_dc_produced_mppt1"]
        assert amounts["rated_power"] == 6_000_000
        names = [register.measurement for register in found.registers]
        assert len(names) == len(set(names))
        assert "temperature_other" not in names  # the device has no such sensor

    run(work())


def test_strings_far_from_their_scale_factors_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sunspec_device, "_STRINGS", 12)

    async def work() -> None:
        device = virtual(1, 103, 160)
        _, amounts = await discovered(device)
        held = device.held(now_ms=NOON_MS)
        for number in range(1, 13):
            name = f"power_dc_mppt{number}"
            assert amounts[name] == expected(held[160, name], "W")
            name = f"energy_dc_produced_mppt{number}"
            assert amounts[name] == held[160, name]

    run(work())


def test_what_is_not_implemented_now_is_none() -> None:
    async def work() -> None:
        faults = Faults()
        device = virtual(1, 103, faults=faults)
        by_day, _ = await discovered(device)
        faults.shares = {Fault.SENTINELS: 1.0}
        at_night, amounts = await discovered(device)
        assert {one.measurement for one in at_night.registers} < {
            one.measurement for one in by_day.registers
        }
        assert "active_power" in amounts  # every inverter must have it
        instants = {name: amount for name, amount in amounts.items() if "energy" not in name}
        assert set(instants.values()) == {None}

    run(work())


def test_a_device_that_speaks_no_sunspec_says_so() -> None:
    async def work() -> None:
        async with served(a_device("sdm120")) as server:
            host = changed(a_host(server.port, "sdm120"), registers=())
            with pytest.raises(NotDiscoveredError, match="speaks no SunSpec"):
                await discover(host, Bus())
        with pytest.raises(NotDiscoveredError, match="unreachable"):
            await discover(host, Bus())

    run(work())


def test_the_facts_are_those_of_the_published_models(shared_data: Path) -> None:
    folder = shared_data / "registers_sunspec" / "json"
    for number, model in sunspec_models().items():
        group = json.loads((folder / f"model_{number}.json").read_text(encoding="utf-8"))["group"]
        assert points(group["points"], skip=2) == [
            (
                point.offset,
                point.words,
                point.name,
                point.kind,
                point.scale_factor,
                point.is_mandatory,
            )
            for point in model.points
        ]
        repeated = group["groups"][0]["points"] if group.get("groups") else []
        assert [one[2] for one in points(repeated)] == [point.name for point in model.repeated]


def points(
    published: Sequence[dict[str, object]], *, skip: int = 0
) -> Sequence[tuple[object, ...]]:
    offset, found = 0, []
    for point in published:
        size = int(str(point["size"]))
        is_mandatory = point.get("mandatory") == "M"
        found.append((offset, size, point["name"], point["type"], point.get("sf"), is_mandatory))
        offset += size
    return found[skip:]


def test_a_line_of_facts_that_is_none_is_named() -> None:
    with pytest.raises(SunSpecFactsError, match="24 2 WH"):
        points_of("24 2 WH")
