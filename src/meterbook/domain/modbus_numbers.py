"""
The code numbers of meter models, measurements and Modbus registers, as the API writes them.

Integrators' programs hold these numbers; they never change, only new ones are added.
"""

from enum import IntEnum, StrEnum

import msgspec

from meterbook.domain.readings import Counting, Flow


class Direction(IntEnum):
    """Which way a meter model counts energy."""

    SINGLE = 1
    BOTH = 2


class MeasurementKind(IntEnum):
    """Whether a measurement is of this moment or a counter's."""

    CURRENT = 1
    HISTORICAL = 2

    @property
    def counting(self) -> Counting:
        """How the numbers of its channel count."""
        return Counting.INSTANT if self is MeasurementKind.CURRENT else Counting.CUMULATIVE


class NumberType(IntEnum):
    """How a register's words make a number."""

    INT16 = 1
    INT32 = 2
    FLOAT32 = 3
    UINT16 = 4
    UINT32 = 5
    FLOAT64 = 6
    INT64 = 7
    UINT64 = 8

    @property
    def words(self) -> int:
        """How many 16-bit registers it takes."""
        return _WORDS[self]

    @property
    def end(self) -> int | None:
        """The first number it is too small for; None of floating point."""
        bits = 16 * self.words
        match self:
            case NumberType.UINT16 | NumberType.UINT32 | NumberType.UINT64:
                return 1 << bits
            case NumberType.INT16 | NumberType.INT32 | NumberType.INT64:
                return 1 << (bits - 1)
            case _:
                return None


_WORDS = {
    NumberType.INT16: 1,
    NumberType.UINT16: 1,
    NumberType.INT32: 2,
    NumberType.UINT32: 2,
    NumberType.FLOAT32: 2,
    NumberType.INT64: 4,
    NumberType.UINT64: 4,
    NumberType.FLOAT64: 4,
}


class FunctionCode(IntEnum):
    """Modbus function that reads a register."""

    HOLDING = 3
    INPUT = 4


class WordOrder(StrEnum):
    """Which of a number's words has the lower address."""

    HIGH_FIRST = "high_first"
    LOW_FIRST = "low_first"


class BusLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a make of meter bears; the defaults suit most."""

    connect_delay_ms: int = 0
    """How long it needs after a connection was made, before the first request."""
    timeout_ms: int = 2000
    """How long an answer, or a connection, may take."""
    gap_ms: int = 0
    """How long it needs between an answer and the next request."""
    block_words_max: int = 100
    """How many registers one request may ask for; Modbus itself ends at 125."""
    hole_words_max: int = 20
    """How many registers nobody wants may lie between two that are read together."""


WORDS_MAX = 125  # of one request: Modbus Application Protocol 1.1b3, 6.3


def measured_flow(measurement: str) -> Flow:
    """
    Return the direction a measurement's name tells; what says nothing is seen as import.

    >>> measured_flow("active_energy_produced")
    <Flow.EXPORT: 19>
    """
    exported = "produced" in measurement or "export" in measurement
    return Flow.EXPORT if exported else Flow.IMPORT


def channel_unit(register_unit: str) -> str:
    """
    Return the unit in which a channel keeps what a register gives: kilo and mega taken away.

    >>> channel_unit("kWh"), channel_unit("MWh"), channel_unit("V")
    ('Wh', 'Wh', 'V')
    """
    if len(register_unit) > 1 and register_unit[0] in "kM":
        return register_unit[1:]
    return register_unit
