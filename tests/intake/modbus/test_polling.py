"""One host polled over a real connection to a virtual device, well and with every fault."""

import asyncio

import pytest

from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.modbus_numbers import BusLimits
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import poll, probe
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.registry.poll_plans import PolledHost
from meterbook.simulate.modbus.faults import Fault
from virtual_devices import (
    CALM,
    MODELS,
    NOON_MS,
    QUICK,
    a_device,
    a_host,
    expected_amounts,
    run,
    served,
)


async def polled_once(host: PolledHost) -> HostPoll:
    bus = Bus()
    try:
        return await poll(HostReader(host, bus), patient=True)
    finally:
        bus.close()


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
@pytest.mark.parametrize("model", sorted(name for name in MODELS if MODELS[name].registers))
def test_a_poll_gives_what_the_device_holds_to_the_last_digit(model: str, rtu: bool) -> None:
    async def work() -> None:
        device = a_device(model)
        address = "rtu+tcp://127.0.0.1" if rtu else "127.0.0.1"
        async with served(device, rtu=rtu) as server:
            result = await polled_once(a_host(server.port, model, address=address))
        expected = expected_amounts(MODELS[model], device.held(now_ms=NOON_MS))
        assert result.failures == {}
        assert result.amounts == expected
        assert any(expected.values())

    run(work())


SOON = BusLimits(timeout_ms=300)  # before the late answer of a slow device
UNANSWERED = {Fault.SILENCE, Fault.SLOW, Fault.WRONG_TRANSACTION}
FAILURES = {
    Fault.SILENCE: PollFailure.TIMEOUT,
    Fault.SLOW: PollFailure.TIMEOUT,
    Fault.EXCEPTIONS: PollFailure.EXCEPTION,
    Fault.WRONG_TRANSACTION: PollFailure.WRONG_ANSWER,
    Fault.CUT_FRAME: PollFailure.CUT_FRAME,
}


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
@pytest.mark.parametrize("fault", FAILURES)
def test_each_fault_is_reported_by_its_kind(fault: Fault, rtu: bool) -> None:
    async def work() -> None:
        address = "rtu+tcp://127.0.0.1" if rtu else "127.0.0.1"
        async with served(a_device("sdm120", fault), rtu=rtu) as server:
            limits = QUICK if fault in UNANSWERED else CALM
            host = a_host(server.port, "sdm120", address=address, limits=limits)
            result = await polled_once(host)
        assert result.amounts == {}
        assert set(result.failures.values()) == {FAILURES[fault]}
        assert len(result.failures) == len(MODELS["sdm120"].registers)

    run(work())


def test_nobody_at_the_address_is_unreachable() -> None:
    async def work() -> None:
        async with served(a_device()) as server:
            port = server.port
        result = await polled_once(a_host(port))
        assert set(result.failures.values()) == {PollFailure.UNREACHABLE}

    run(work())


def test_what_the_device_says_is_no_value_is_none_and_never_zero() -> None:
    async def work() -> None:
        async with served(a_device("sdm120", Fault.SENTINELS)) as server:
            result = await polled_once(a_host(server.port, "sdm120"))
        assert result.failures == {}
        assert set(result.amounts.values()) == {None}

    run(work())


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
@pytest.mark.parametrize(
    "fault", [Fault.WRONG_TRANSACTION, Fault.CUT_FRAME, Fault.SLOW, Fault.SILENCE]
)
def test_one_bad_answer_is_recovered_from_in_the_same_poll(
    fault: Fault, rtu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        device = a_device("sdm630")
        strikes = iter([True])
        once = lambda asked: asked is fault and next(strikes, False)  # noqa: E731 one line
        monkeypatch.setattr(device.faults, "strikes", once)
        address = "rtu+tcp://127.0.0.1" if rtu else "127.0.0.1"
        async with served(device, rtu=rtu) as server:
            result = await polled_once(a_host(server.port, address=address, limits=SOON))
        assert result.failures == {}
        assert result.amounts == expected_amounts(MODELS["sdm630"], device.held(now_ms=NOON_MS))

    run(work())


def test_a_dead_slave_does_not_stop_the_others_on_its_bus() -> None:
    async def work() -> None:
        devices = [a_device("sdm120", Fault.SILENCE), *(a_device("sdm120") for _ in range(3))]
        async with served(*devices) as server:
            bus = Bus()
            hosts = [
                a_host(server.port, "sdm120", host_id=n, slave=n, limits=QUICK if n == 1 else CALM)
                for n in range(1, 5)
            ]
            dead, *well = await asyncio.gather(
                *(poll(HostReader(host, bus), patient=True) for host in hosts)
            )
            bus.close()
        assert set(dead.failures.values()) == {PollFailure.TIMEOUT}
        assert [result.failures for result in well] == [{}, {}, {}]

    run(work())


def test_holes_a_device_refuses_cost_nothing_but_a_few_requests_once() -> None:
    async def work() -> None:
        async with served(a_device("sdm630", has_holes=True)) as server:
            bus = Bus()
            reader = HostReader(a_host(server.port), bus)
            results = [await reader.read(patient=True) for _ in range(3)]
            bus.close()
        assert [reading.failed for reading in results] == [{}, {}, {}]
        assert results[1].requests < results[0].requests
        assert results[1].requests == results[2].requests

    run(work())


def test_neighbours_are_read_together() -> None:
    async def work() -> None:
        async with served(a_device("sdm120")) as server:
            reader = HostReader(a_host(server.port, "sdm120"), Bus())
            reading = await reader.read(patient=True)
            reader.bus.close()
        assert len(reading.failed) == 0
        assert reading.requests == 2  # 0x00 to 0x1F, and 0x46 to 0x4B

    run(work())


def test_a_connect_delay_and_gaps_are_kept() -> None:
    async def work() -> None:
        limits = BusLimits(connect_delay_ms=80, gap_ms=60, block_words_max=2, timeout_ms=10_000)
        names = ["voltage_ac", "current", "active_power"]
        async with served(a_device("sdm120")) as server:
            result = await polled_once(a_host(server.port, "sdm120", limits=limits, names=names))
        assert result.failures == {}
        assert result.latency_ms >= 80 + 2 * 60

    run(work())


def test_a_probe_shows_words_and_numbers_as_they_came() -> None:
    async def work() -> None:
        device = a_device("em24")
        async with served(device) as server:
            bus = Bus()
            shown = await probe(HostReader(a_host(server.port, "em24"), bus))
            bus.close()
        held = device.held(now_ms=NOON_MS)
        assert shown.bus == f"127.0.0.1 port {server.port}"
        for register in shown.registers:
            assert register.number is not None
            assert float(register.number) == float(held[register.measurement] or 0)
        [frequency] = [one for one in shown.registers if one.measurement == "frequency"]
        assert int(frequency.words[0], 16) == int((held["frequency"] or 0) * 10)

    run(work())
