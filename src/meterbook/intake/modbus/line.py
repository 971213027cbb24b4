"""
One open connection to a bus: sends a request, gathers the answer, one at a time.

A connection that breaks while nobody waits is found out by the next request.
"""

import asyncio
from collections.abc import Callable

from pymodbus.transport.serialtransport import create_serial_connection

from meterbook.domain.host_addresses import BusAddress, Wire
from meterbook.domain.host_polls import PollFailure
from meterbook.intake.modbus.frames import Asked, AskedOverRtu, AskedOverTcp, Ids, ReadFailedError

_DATA_BITS = 8
_QUIET_MS_MIN = 20


class Line(asyncio.Protocol):
    """A connection; made by `open_line`."""

    def __init__(self, address: BusAddress) -> None:
        self.address = address
        self.is_open = True
        self.begun = asyncio.Event()
        self._ids = Ids()
        self._transport: asyncio.Transport | None = None
        self._asked: Asked | None = None
        self._answered: asyncio.Future[bytes] | None = None
        self._is_quiet = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]
        self.begun.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        """End: whoever waits is told."""
        self.is_open = False
        begun = self._asked is not None and self._asked.received
        failure = PollFailure.CUT_FRAME if begun else PollFailure.UNREACHABLE
        self._fail(ReadFailedError(failure, "the connection ended"))

    def data_received(self, octets: bytes) -> None:
        """Take what has come of an answer."""
        self._is_quiet = False
        asked, answered = self._asked, self._answered
        if asked is None or answered is None or answered.done():
            return
        asked.received += octets
        try:
            words = asked.answer()
        except ReadFailedError as error:
            self._fail(error)
        else:
            if words is not None:
                answered.set_result(words)

    async def ask(
        self, *, slave: int, function: int, address: int, count: int, timeout_s: float
    ) -> bytes:
        """
        Return the words of `count` registers, two bytes each, the high one first.

        :raises ReadFailedError: if they could not be read.
        """
        if not self.is_open or self._transport is None:
            raise ReadFailedError(PollFailure.UNREACHABLE, "the connection ended")
        if self.address.wire is Wire.TCP:
            asked: Asked = AskedOverTcp(slave, function, address, count, ids=self._ids)
        else:
            asked = AskedOverRtu(slave, function, address, count)
        loop = asyncio.get_running_loop()
        self._asked, self._answered = asked, loop.create_future()
        timer = loop.call_later(timeout_s, self._time_out)
        self._transport.write(asked.request())
        try:
            return await self._answered
        finally:
            timer.cancel()
            self._asked = self._answered = None

    async def fall_quiet(self, *, within_s: float) -> None:
        """
        Wait until late answers have passed.

        An RTU frame does not say which request it answers: one that comes late would be taken for
        the answer to the next.
        """
        ends_at = asyncio.get_running_loop().time() + within_s
        while True:
            self._is_quiet = True
            left_s = ends_at - asyncio.get_running_loop().time()
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, max(within_s / 4, _QUIET_MS_MIN / 1000)))
            if not self._is_quiet:
                # The late answer is here; what is left of it comes without a pause.
                ends_at = min(ends_at, asyncio.get_running_loop().time() + within_s / 4)

    def close(self) -> None:
        """Close it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _time_out(self) -> None:
        asked = self._asked
        if asked is None:
            return
        if asked.received:
            self._fail(ReadFailedError(PollFailure.CUT_FRAME, "the answer stopped half way"))
            return
        if isinstance(asked, AskedOverTcp):
            self._ids.give_up(asked.transaction)
        self._fail(ReadFailedError(PollFailure.TIMEOUT, "no answer in time"))

    def _fail(self, error: ReadFailedError) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)


async def open_line(address: BusAddress, *, timeout_s: float) -> Line:
    """
    Return a new connection.

    :raises ReadFailedError: if there is none to be had.
    """
    loop = asyncio.get_running_loop()

    def protocol() -> Line:
        return Line(address)

    try:
        async with asyncio.timeout(timeout_s):
            if address.wire is Wire.SERIAL:
                return await _open_serial(loop, protocol, address)
            _, line = await loop.create_connection(protocol, address.place, address.port)
            return line
    except TimeoutError:
        raise ReadFailedError(PollFailure.UNREACHABLE, "no connection in time") from None
    except OSError as error:  # pyserial's errors are too
        raise ReadFailedError(PollFailure.UNREACHABLE, error.strerror or str(error)) from None


async def _open_serial(
    loop: asyncio.AbstractEventLoop, protocol: Callable[[], Line], address: BusAddress
) -> Line:
    try:
        _, made = await create_serial_connection(
            loop,
            protocol,
            address.place,
            baudrate=address.baudrate,
            bytesize=_DATA_BITS,
            parity=address.parity,
            stopbits=address.stopbits,
            timeout=0,
        )
    except OSError:
        raise
    except Exception as error:  # pyserial lets the system's own through: termios.error
        raise OSError(f"the line refuses its settings: {error}") from error
    line: Line = made  # type: ignore[assignment] # it is what `protocol` made
    await line.begun.wait()  # the transport introduces itself some turns of the loop later
    return line
