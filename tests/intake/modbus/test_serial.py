"""RTU on a serial line, over a pseudo-terminal; and pymodbus as the other end, on every wire."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from meterbook.domain.host_addresses import host_address
from meterbook.domain.host_polls import PollFailure
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import poll
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.simulate.modbus.faults import Fault
from meterbook.simulate.modbus.server import VirtualBus, serve_line
from virtual_devices import (
    CALM,
    MODELS,
    NOON_MS,
    QUICK,
    a_bus,
    a_device,
    a_host,
    expected_amounts,
    run,
    served,
)


class _MasterSide(asyncio.Transport):
    """The far end of a pseudo-terminal, as the wire to virtual devices."""

    def __init__(self, far: int) -> None:
        super().__init__()
        self._far = far

    def write(self, octets: bytes) -> None:  # type: ignore[override]
        os.write(self._far, octets)

    def close(self) -> None:
        """Stay: a serial line has no end."""


@asynccontextmanager
async def line_of(bus: VirtualBus) -> AsyncIterator[str]:
    """Give the address of a serial line with the devices on it."""
    far, near = os.openpty()
    tty.setraw(near)
    protocol = serve_line(bus)(_MasterSide(far))
    loop = asyncio.get_running_loop()
    loop.add_reader(far, lambda: protocol.data_received(os.read(far, 1024)))
    try:
        yield host_address(f"{os.ttyname(near)}")
    finally:
        loop.remove_reader(far)
        os.close(far)
        os.close(near)


@pytest.mark.parametrize("model", ["sdm120", "em24", "dtsu666"])
def test_a_meter_on_a_serial_line_is_read_to_the_last_digit(model: str) -> None:
    async def work() -> None:
        device = a_device(model)
        async with line_of(a_bus(device)) as address:
            bus = Bus()
            # Without a second chance: the very first request on the line must do.
            result = await poll(HostReader(a_host(0, model, address=address), bus), patient=False)
            bus.close()
        assert result.failures == {}
        assert result.amounts == expected_amounts(MODELS[model], device.held(now_ms=NOON_MS))

    run(work())


def test_slaves_share_a_line_and_a_slow_one_never_speaks_for_another() -> None:
    async def work() -> None:
        slow, well = a_device("sdm120", Fault.SLOW), a_device("sdm120")
        well._measured.counted.imported *= 3
        virtual = a_bus(slow, well, slow_s=0.2)
        async with line_of(virtual) as address:
            bus = Bus()
            hosts = [
                a_host(0, "sdm120", slave=slave, address=address, limits=limits)
                for slave, limits in ((1, QUICK), (2, CALM))
            ]
            for _ in range(2):
                late, good = await asyncio.gather(
                    *(poll(HostReader(host, bus), patient=True) for host in hosts)
                )
                assert set(late.failures.values()) == {PollFailure.TIMEOUT}
                held = well.held(now_ms=NOON_MS)
                assert good.amounts == expected_amounts(MODELS["sdm120"], held)
            bus.close()

    run(work())


def test_other_line_settings_on_the_same_line_are_the_same_bus() -> None:
    async def work() -> None:
        async with line_of(a_bus(a_device("sdm120"), a_device("sdm120"))) as address:
            bus = Bus()
            for slave, settings in ((1, ""), (2, "?baudrate=19200&stopbits=2"), (1, "")):
                place = host_address(address + settings)
                host = a_host(0, "sdm120", slave=slave, address=place)
                assert not (await poll(HostReader(host, bus), patient=False)).failures
            bus.close()

    run(work())


def test_a_line_that_refuses_its_settings_says_so() -> None:
    async def work() -> None:
        # A pseudo-terminal knows no parity.
        async with line_of(a_bus(a_device("sdm120"))) as address:
            host = a_host(0, "sdm120", address=f"{address}?parity=E")
            result = await poll(HostReader(host, Bus()), patient=True)
        assert set(result.failures.values()) == {PollFailure.UNREACHABLE}

    run(work())


def test_a_line_that_is_not_there_is_unreachable() -> None:
    async def work() -> None:
        host = a_host(0, "sdm120", address="serial:/dev/ttyNOT-HERE")
        result = await poll(HostReader(host, Bus()), patient=True)
        assert set(result.failures.values()) == {PollFailure.UNREACHABLE}

    run(work())


@pytest.mark.parametrize("framer", [FramerType.SOCKET, FramerType.RTU], ids=["tcp", "rtu"])
def test_pymodbus_reads_virtual_devices_as_we_do(framer: FramerType) -> None:
    async def work() -> None:
        device = a_device("sdm120")
        rtu = framer is FramerType.RTU
        async with served(device, rtu=rtu) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, framer=framer, timeout=2)
            assert await client.connect()
            answer = await client.read_input_registers(0x46, count=6, device_id=1)
            refused = await client.read_input_registers(0x1000, count=2, device_id=1)
            client.close()
        assert answer.registers == device.words(4, 0x46, 6, now_ms=NOON_MS)
        assert refused.isError()
        assert refused.exception_code == 2

    run(work())


@pytest.mark.parametrize("framer", [FramerType.SOCKET, FramerType.RTU], ids=["tcp", "rtu"])
def test_we_read_pymodbus_devices(framer: FramerType) -> None:
    async def work() -> None:
        words = [(index * 257) % 65_536 for index in range(0x100)]
        simulated = SimDevice(id=1, simdata=[SimData(0, values=words, datatype=DataType.REGISTERS)])
        server = ModbusTcpServer(simulated, address=("127.0.0.1", 0), framer=framer)
        serving = asyncio.create_task(server.serve_forever())
        while not server.transport:  # noqa: ASYNC110 it tells nobody when it is ready
            await asyncio.sleep(0.01)
        port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        address = "rtu+tcp://127.0.0.1" if framer is FramerType.RTU else "127.0.0.1"
        bus = Bus()
        reading = await HostReader(a_host(port, "sdm120", address=address), bus).read(patient=True)
        bus.close()
        await server.shutdown()  # type: ignore[no-untyped-call]
        serving.cancel()
        assert not reading.failed
        assert all(words[at] == word for (_, at), word in reading.words.items())

    run(work())
