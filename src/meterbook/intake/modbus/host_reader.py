"""
One reading of one host: its blocks one after the other, and what each of them gave.

One block that fails costs the others nothing. A device that answers "illegal address" to a block
may only mind the hole in it: the block is halved until what can be read is read, and the
halves are remembered. Only a device that stays silent twice running, or cannot be reached at
all, is asked for nothing more.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from meterbook.domain.host_polls import PollFailure
from meterbook.domain.modbus_numbers import FunctionCode
from meterbook.intake.modbus.blocks import Block, blocks_of, halves
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.frames import ReadFailedError
from meterbook.registry.poll_plans import PolledHost, PolledRegister

SILENT_MAX = 2
_OF_ADDRESSES = frozenset({2, 3})  # exception codes that may be about a hole or a length
_WORTH_ANOTHER = frozenset(
    {PollFailure.WRONG_ANSWER, PollFailure.CUT_FRAME, PollFailure.UNREACHABLE}
)


class Reading(msgspec.Struct):
    """What came of one reading."""

    words: dict[tuple[FunctionCode, int], int]
    """By function and address."""
    failed: dict[str, ReadFailedError]
    """By measurement."""
    requests: int = 0

    def words_of(self, register: PolledRegister) -> list[int]:
        """Return the words of a register that was read."""
        return [self.words[register.function_code, at] for at in register.addresses]


class HostReader:
    """Reads one host again and again; remembers what it has learned about its blocks."""

    def __init__(self, host: PolledHost, bus: Bus) -> None:
        self.host = host
        self.bus = bus
        self._blocks = blocks_of(host.registers, limits=host.limits)

    async def read(self, *, patient: bool) -> Reading:
        """
        Read every block.

        :param patient: ask once more where an answer failed: right for a host that is well, a
            waste of the others' time for one that has been silent for long.
        """
        reading = Reading({}, {})
        waiting = deque(self._blocks)
        read: list[Block] = []
        put_off: list[Block] = []
        silent = 0
        while waiting:
            block = waiting.popleft()
            try:
                await self._read_block(block, reading, patient=patient)
            except ReadFailedError as error:
                if error.exception_code in _OF_ADDRESSES and len(block.pieces) > 1:
                    waiting.extendleft(reversed(halves(block)))
                    continue
                silent = silent + 1 if error.failure is PollFailure.TIMEOUT else 0
                if error.failure is PollFailure.UNREACHABLE or silent >= SILENT_MAX:
                    _mark(reading, [block, *waiting], error)
                    return reading
                if patient and silent and block not in put_off:
                    # Others first: a device may be silent about one block only.
                    put_off.append(block)
                    waiting.append(block)
                    continue
                _mark(reading, [block], error)
            else:
                silent = 0
            read.append(block)
        if reading.words:
            self._blocks = sorted(read, key=lambda one: (one.function_code, one.address))
        return reading

    async def _read_block(self, block: Block, reading: Reading, *, patient: bool) -> None:
        try:
            words = await self._ask(block, reading)
        except ReadFailedError as error:
            if not patient or error.failure not in _WORTH_ANOTHER:
                raise
            words = await self._ask(block, reading)
        for index in range(block.count):
            at = block.function_code, block.address + index
            reading.words[at] = words[2 * index] << 8 | words[2 * index + 1]

    async def _ask(self, block: Block, reading: Reading) -> bytes:
        reading.requests += 1
        return await self.bus.read(
            self.host.bus,
            slave=self.host.slave_address,
            function=block.function_code,
            address=block.address,
            count=block.count,
            limits=self.host.limits,
        )


def _mark(reading: Reading, blocks: Iterable[Block], error: ReadFailedError) -> None:
    for block in blocks:
        for piece in block.pieces:
            reading.failed[piece.register.measurement] = error
