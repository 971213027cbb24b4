"""
A bus of virtual devices: answers Modbus requests, over TCP or as RTU frames, rightly or wrongly.

Its own responder and not a library's, because no library sends half an answer on purpose.
"""

import asyncio
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Protocol

from pymodbus.framer.rtu import FramerRTU

from meterbook.simulate.modbus.devices import Clock
from meterbook.simulate.modbus.faults import SLOW_S, Fault, Faults

_MBAP = Struct(">HHHB")
_ASKED = Struct(">BHH")
_RTU_BYTES = 8
_READS = frozenset({3, 4})
_WORDS_MAX = 125
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_DEVICE_FAILURE, _NO_TARGET = 4, 11
_OTHER_TRANSACTION = 0x5A5A


class Device(Protocol):
    """What stands behind a slave address."""

    faults: Faults

    def words(self, function: int, address: int, count: int, *, now_ms: int) -> list[int] | None:
        """Return what registers hold; None if there are none."""


class VirtualBus:
    """Devices by slave address; counts the requests it has answered."""

    def __init__(
        self, devices: Mapping[int, Device], *, clock: Clock, slow_s: float = SLOW_S
    ) -> None:
        self.devices = dict(devices)
        self.slow_s = slow_s
        self.requests = 0
        self._clock = clock

    def answer(self, slave: int, asked: bytes) -> tuple[bytes, Faults]:
        """Return the answer without any framing, and the faults of the device asked."""
        self.requests += 1
        function, address, count = _ASKED.unpack(asked)
        device = self.devices.get(slave)
        if device is None:
            return bytes([function | 0x80, _NO_TARGET]), Faults()
        code = 0
        words: list[int] | None = None
        if device.faults.strikes(Fault.EXCEPTIONS):
            code = _DEVICE_FAILURE
        elif function not in _READS:
            code = _ILLEGAL_FUNCTION
        elif not 1 <= count <= _WORDS_MAX:
            code = _ILLEGAL_VALUE
        else:
            words = device.words(function, address, count, now_ms=self._clock())
        if words is None:
            return bytes([function | 0x80, code or _ILLEGAL_ADDRESS]), device.faults
        body = b"".join(word.to_bytes(2, "big") for word in words)
        return bytes([function, len(body)]) + body, device.faults


class _Connection(asyncio.Protocol):
    """One client of a bus."""

    def __init__(self, bus: VirtualBus, connections: set["_Connection"], *, rtu: bool) -> None:
        self._bus = bus
        self._connections = connections
        self._rtu = rtu
        self._received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self._connections.discard(self)
        self.transport = None

    def data_received(self, octets: bytes) -> None:
        self._received += octets
        take = self._take_rtu if self._rtu else self._take_tcp
        while take():
            pass

    def _take_tcp(self) -> bool:
        if len(self._received) < _MBAP.size:
            return False
        transaction, _, length, slave = _MBAP.unpack_from(self._received)
        if len(self._received) < length + 6:
            return False
        asked = self._received[_MBAP.size : length + 6]
        self._received = self._received[length + 6 :]
        body, faults = self._bus.answer(slave, asked[: _ASKED.size])
        if faults.strikes(Fault.WRONG_TRANSACTION):
            transaction ^= _OTHER_TRANSACTION
        self._send(_MBAP.pack(transaction, 0, len(body) + 1, slave) + body, faults)
        return True

    def _take_rtu(self) -> bool:
        if len(self._received) < _RTU_BYTES:
            return False
        frame, self._received = self._received[:_RTU_BYTES], self._received[_RTU_BYTES:]
        if with_checksum(frame[:-2]) != frame:
            self._received = b""
            return False
        slave = frame[0]
        if slave not in self._bus.devices:
            return True  # nobody on the line feels spoken to
        body, faults = self._bus.answer(slave, frame[1:-2])
        told = slave ^ 1 if faults.strikes(Fault.WRONG_TRANSACTION) else slave
        self._send(with_checksum(bytes([told]) + body), faults)
        return True

    def _send(self, frame: bytes, faults: Faults) -> None:
        if faults.strikes(Fault.SILENCE):
            return
        if faults.strikes(Fault.SLOW):
            asyncio.get_running_loop().call_later(self._bus.slow_s, self._write, frame)
        elif faults.strikes(Fault.CUT_FRAME):
            self._write(frame[: len(frame) // 2])
            if self.transport is not None:
                self.transport.close()
        else:
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self.transport is not None:
            self.transport.write(frame)


class BusServer:
    """A bus that listens on a port."""

    def __init__(
        self, bus: VirtualBus, server: asyncio.Server, connections: set[_Connection]
    ) -> None:
        self.bus = bus
        self.port: int = server.sockets[0].getsockname()[1]
        self._server = server
        self._connections = connections

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def close(self) -> None:
        """Pull the plug: close the port and every connection."""
        self._server.close()
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)


async def serve_bus(
    bus: VirtualBus, *, host: str = "127.0.0.1", port: int = 0, rtu: bool = False
) -> BusServer:
    """
    Listen.

    :param port: 0: any free one.
    :param rtu: expect RTU frames instead of Modbus TCP.
    """
    connections: set[_Connection] = set()
    make = _connection_maker(bus, connections, rtu=rtu)
    server = await asyncio.get_running_loop().create_server(make, host, port)
    return BusServer(bus, server, connections)


def serve_line(bus: VirtualBus) -> Callable[[asyncio.Transport], asyncio.Protocol]:
    """Return what makes a protocol for RTU frames on an open transport, such as a serial line's."""

    def make(transport: asyncio.Transport) -> asyncio.Protocol:
        connection = _Connection(bus, set(), rtu=True)
        connection.connection_made(transport)
        return connection

    return make


def with_checksum(content: bytes) -> bytes:
    """Return an RTU frame."""
    return content + FramerRTU.compute_CRC(content).to_bytes(2, "big")


def _connection_maker(
    bus: VirtualBus, connections: set[_Connection], *, rtu: bool
) -> Callable[[], _Connection]:
    def make() -> _Connection:
        return _Connection(bus, connections, rtu=rtu)

    return make
