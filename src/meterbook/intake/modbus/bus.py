"""
A bus: one connection, shared by the slave addresses behind it; requests go in turn.

The turn is a request's, not a host's: a slow or silent slave holds the others up for one request.
After an answer that cannot be trusted the connection is made anew; on an RTU line, where an
answer does not say what it answers, late ones are let pass first.
"""

import asyncio
from collections.abc import Callable

from meterbook.domain.host_addresses import BusAddress, Wire
from meterbook.domain.host_polls import PollFailure
from meterbook.domain.modbus_numbers import BusLimits
from meterbook.intake.modbus.frames import ReadFailedError
from meterbook.intake.modbus.line import Line, open_line
from meterbook.intake.modbus.metrics import BLOCKS, BLOCKS_FAILED

TIMEOUTS_MAX = 2  # in a row: the other end may have gone without a word, connect anew
REFUSED_FOR_S = 2.0  # a failed connection is not tried again for every slave behind it


class Bus:
    """Reads registers of every slave at one place."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._line: Line | None = None
        self._timeouts = 0
        self._ready_at = 0.0
        self._refused: tuple[float, ReadFailedError] | None = None
        self._has_ended = False

    async def read(
        self,
        bus: BusAddress,
        *,
        slave: int,
        function: int,
        address: int,
        count: int,
        limits: BusLimits,
    ) -> bytes:
        """
        Return the words of `count` registers, two bytes each, the high one first.

        :param bus: with the line settings of this slave: another may have others on one line.
        :raises ReadFailedError: if they could not be read.
        """
        async with self._turn:
            try:
                line = await self._open(bus, limits)
                words = await self._ask(line, slave, function, address, count, limits)
            except ReadFailedError as error:
                BLOCKS_FAILED.labels(error.failure.value).inc()
                raise
            BLOCKS.inc()
            return words

    def close(self) -> None:
        """Close the connection; the next request would open another."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def end(self) -> None:
        """Close the connection for good: whoever still reads is told so, and opens none."""
        self._has_ended = True
        self.close()

    async def _ask(
        self, line: Line, slave: int, function: int, address: int, count: int, limits: BusLimits
    ) -> bytes:
        clock: Callable[[], float] = asyncio.get_running_loop().time
        if (wait_s := self._ready_at - clock()) > 0:
            await asyncio.sleep(wait_s)
        try:
            words = await line.ask(
                slave=slave,
                function=function,
                address=address,
                count=count,
                timeout_s=limits.timeout_ms / 1000,
            )
        except ReadFailedError as error:
            await self._recover(line, error, limits)
            raise
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._ready_at = clock() + limits.gap_ms / 1000
        self._timeouts = 0
        return words

    async def _recover(self, line: Line, error: ReadFailedError, limits: BusLimits) -> None:
        if error.failure is PollFailure.EXCEPTION:
            self._timeouts = 0
            return
        self._timeouts = self._timeouts + 1 if error.failure is PollFailure.TIMEOUT else 0
        if line.address.wire is not Wire.TCP and line.is_open:
            await line.fall_quiet(within_s=limits.timeout_ms / 1000)
        untrusted = (
            error.failure is not PollFailure.TIMEOUT and line.address.wire is not Wire.SERIAL
        )
        if untrusted or self._timeouts >= TIMEOUTS_MAX or not line.is_open:
            self._timeouts = 0
            self.close()

    async def _open(self, bus: BusAddress, limits: BusLimits) -> Line:
        line = self._line
        if line is not None and line.is_open and line.address == bus:
            return line
        self.close()
        if self._has_ended:
            raise ReadFailedError(PollFailure.UNREACHABLE, "nothing is read here any more")
        clock = asyncio.get_running_loop().time
        if self._refused is not None and clock() < self._refused[0]:
            raise self._refused[1]
        try:
            line = await open_line(bus, timeout_s=limits.timeout_ms / 1000)
        except ReadFailedError as error:
            self._refused = (clock() + REFUSED_FOR_S, error)
            raise
        if self._has_ended:
            line.close()
            raise ReadFailedError(PollFailure.UNREACHABLE, "nothing is read here any more")
        self._line, self._refused = line, None
        self._ready_at = clock() + limits.connect_delay_ms / 1000
        return line
