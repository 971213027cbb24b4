"""
Modbus frames for the one thing a poller says: read registers.

Of a request and the bytes that come back, in Modbus TCP (MBAP) or RTU form. What comes back is an
answer, more is to come, or it is wrong, and then how: a bus recovers differently from each.
"""

from abc import ABC, abstractmethod
from struct import Struct

from pymodbus.framer.rtu import FramerRTU

from meterbook.domain.host_polls import PollFailure

MBAP = Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
_ASKED = Struct(">BHH")  # function, address, count
_EXCEPTION_BIT = 0x80
_TRANSACTIONS = 0x10000
_STALE_MAX = 64
MBAP_BYTES_MAX = 254
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}


class ReadFailedError(Exception):
    """Registers could not be read; says why, and the code of a Modbus exception."""

    def __init__(self, failure: PollFailure, reason: str, *, exception_code: int = 0) -> None:
        super().__init__(reason)
        self.failure = failure
        self.exception_code = exception_code


class Asked(ABC):
    """A request under way, and what of its answer has come."""

    def __init__(self, slave: int, function: int, address: int, count: int) -> None:
        self.slave = slave
        self.function = function
        self.address = address
        self.count = count
        self.received = b""

    @abstractmethod
    def request(self) -> bytes:
        """Return the frame to send."""

    @abstractmethod
    def answer(self) -> bytes | None:
        """
        Return the words of the answer as bytes; None as long as more is to come.

        :raises ReadFailedError: if what came is no answer to this request.
        """

    def _words(self, told: bytes) -> bytes:
        function = told[0]
        if function == self.function | _EXCEPTION_BIT:
            reason = EXCEPTIONS.get(told[1], f"exception {told[1]}")
            raise ReadFailedError(PollFailure.EXCEPTION, reason, exception_code=told[1])
        if function != self.function:
            raise _wrong(f"function {function} instead of {self.function}")
        if told[1] != 2 * self.count or len(told) != 2 + 2 * self.count:
            raise _wrong(f"{told[1]} bytes instead of {2 * self.count}")
        return told[2:]


class AskedOverTcp(Asked):
    """A request in an MBAP frame: its transaction number tells whose an answer is."""

    def __init__(self, slave: int, function: int, address: int, count: int, *, ids: "Ids") -> None:
        super().__init__(slave, function, address, count)
        self.ids = ids
        self.transaction = ids.next()

    def request(self) -> bytes:
        """Return the frame to send."""
        body = _ASKED.pack(self.function, self.address, self.count)
        return MBAP.pack(self.transaction, 0, len(body) + 1, self.slave) + body

    def answer(self) -> bytes | None:
        """Return the words of the answer, as `Asked.answer` does."""
        while len(self.received) >= MBAP.size:
            transaction, protocol, length, slave = MBAP.unpack_from(self.received)
            if protocol or not MBAP.size - 4 <= length <= MBAP_BYTES_MAX:
                raise _wrong("no Modbus TCP frame")
            if len(self.received) < length + 6:
                return None
            told = self.received[MBAP.size : length + 6]
            self.received = self.received[length + 6 :]
            if transaction == self.transaction:
                if slave != self.slave:
                    raise _wrong(f"slave {slave} instead of {self.slave}")
                return self._words(told)
            # The late answer to a request that was given up is no slip.
            if transaction not in self.ids.given_up:
                raise _wrong(f"transaction {transaction} instead of {self.transaction}")
            self.ids.given_up.remove(transaction)
        return None


class AskedOverRtu(Asked):
    """A request in an RTU frame: only slave, function and length tell whose an answer is."""

    def request(self) -> bytes:
        """Return the frame to send."""
        return rtu_frame(bytes([self.slave]) + _ASKED.pack(self.function, self.address, self.count))

    def answer(self) -> bytes | None:
        """Return the words of the answer, as `Asked.answer` does."""
        if len(self.received) < 3:  # noqa: PLR2004 slave, function and what follows
            return None
        slave, function, follows = self.received[:3]
        length = 5 if function & _EXCEPTION_BIT else 5 + follows
        if slave == self.slave and function == self.function and follows != 2 * self.count:
            raise _wrong(f"{follows} bytes instead of {2 * self.count}")
        if len(self.received) < length:
            return None
        frame, self.received = self.received[:length], self.received[length:]
        if rtu_frame(frame[:-2]) != frame:
            raise ReadFailedError(PollFailure.CUT_FRAME, "the checksum is wrong")
        if slave != self.slave:
            raise _wrong(f"slave {slave} instead of {self.slave}")
        return self._words(frame[1:-2])


class Ids:
    """Transaction numbers of one connection, and those whose answers nobody waits for any more."""

    def __init__(self) -> None:
        self._last = 0
        self.given_up: list[int] = []

    def next(self) -> int:
        """Return the next number."""
        self._last = self._last % (_TRANSACTIONS - 1) + 1
        return self._last

    def give_up(self, transaction: int) -> None:
        """Remember that an answer to this number would come too late."""
        self.given_up = [*self.given_up[-_STALE_MAX:], transaction]


def rtu_frame(content: bytes) -> bytes:
    """Return the content with its checksum, the low byte first."""
    return content + FramerRTU.compute_CRC(content).to_bytes(2, "big")


def _wrong(reason: str) -> ReadFailedError:
    return ReadFailedError(PollFailure.WRONG_ANSWER, reason)
