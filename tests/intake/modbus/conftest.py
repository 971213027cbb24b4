"""Virtual devices that go on in a thread while a test talks to a started server."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from meterbook.simulate.modbus.server import BusServer, Device, VirtualBus, serve_bus
from virtual_devices import NOON_MS


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
        server: BusServer = self._do(serve_bus(bus, port=port))
        self._servers.append(server)
        return server

    def pull_out(self, server: BusServer) -> None:
        """Close the port and its connections."""
        self._do(server.close())

    def stop(self) -> None:
        """End."""
        for server in self._servers:
            self._do(server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@pytest.fixture(scope="module")
def devices() -> Iterator[DeviceThread]:
    """Give a place to plug virtual devices in."""
    thread = DeviceThread()
    yield thread
    thread.stop()
