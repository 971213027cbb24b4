"""
SunSpec information models: a device that speaks it describes itself, model after model.

    marker "SunS" │ id, length, points ... │ id, length, points ... │ 0xFFFF, 0

An integer point may have a scale factor, a point of its own that holds a power of ten. What a
device has not is there all the same, with a number that means "not implemented".
"""

import msgspec

from meterbook.domain.modbus_numbers import NumberType

MARKER = (0x5375, 0x6E53)  # "SunS"
BASES = (40_000, 50_000, 0)  # where the marker may be, in the order to look
END_MODEL = 0xFFFF
HEADER_WORDS = 2  # id and length, before a model's points

_NUMBER_TYPES = {
    "int16": NumberType.INT16,
    "uint16": NumberType.UINT16,
    "enum16": NumberType.UINT16,
    "count": NumberType.UINT16,
    "acc32": NumberType.UINT32,
    "int32": NumberType.INT32,
    "uint32": NumberType.UINT32,
    "float32": NumberType.FLOAT32,
    "acc64": NumberType.UINT64,
    "int64": NumberType.INT64,
    "uint64": NumberType.UINT64,
    "float64": NumberType.FLOAT64,
}
# Accumulators have none: 0 is what a new device has counted.
_NOT_IMPLEMENTED = {
    "int16": 0x8000,
    "uint16": 0xFFFF,
    "enum16": 0xFFFF,
    "count": 0xFFFF,
    "sunssf": 0x8000,
    "int32": 0x8000_0000,
    "uint32": 0xFFFF_FFFF,
    "bitfield32": 0xFFFF_FFFF,
    "float32": 0x7FC0_0000,
    "int64": 0x8000_0000_0000_0000,
    "uint64": 0xFFFF_FFFF_FFFF_FFFF,
}


class SunSpecFactsError(ValueError):
    """A line of facts that is none."""


class SunSpecPoint(msgspec.Struct, frozen=True):
    """One point of a model."""

    offset: int
    """From the model's id register, or from the repetition's first."""
    words: int
    name: str
    kind: str
    """int16, acc32, sunssf, string, ... as SunSpec names it."""
    scale_factor: str | None
    """The name of the point that holds its power of ten."""
    unit: str
    is_mandatory: bool
    measurement: str | None
    """What it is offered as."""

    @property
    def number_type(self) -> NumberType | None:
        """How its words make a number; None if they do not."""
        return _NUMBER_TYPES.get(self.kind)

    @property
    def not_implemented(self) -> int | None:
        """The raw number that means so, unsigned; None if there is none."""
        return _NOT_IMPLEMENTED.get(self.kind)


class SunSpecModel(msgspec.Struct, frozen=True):
    """One information model."""

    number: int
    name: str
    kind: str
    """inverter, meter or other."""
    points: list[SunSpecPoint]
    repeated: list[SunSpecPoint]
    """Of each repetition after the fixed points; empty if nothing repeats."""

    @property
    def fixed_words(self) -> int:
        """How many registers it takes without repetitions, id and length included."""
        return max(point.offset + point.words for point in self.points)

    @property
    def repeated_words(self) -> int:
        """How many registers one repetition takes."""
        return max((point.offset + point.words for point in self.repeated), default=0)

    def repetitions(self, length: int) -> int:
        """Return how often its repeated points fit into a model of that length."""
        if not self.repeated:
            return 0
        return max(0, length + HEADER_WORDS - self.fixed_words) // self.repeated_words


def points_of(facts: str) -> list[SunSpecPoint]:
    """
    Return the points of a table of facts, a line each.

    >>> points_of("24 2 WH acc32 WH_SF Wh M active_energy_produced")[0].scale_factor
    'WH_SF'

    :raises SunSpecFactsError: naming the line that is not right.
    """
    points = []
    for line in facts.strip().splitlines():
        try:
            offset, words, name, kind, scale_factor, unit, need, measurement = line.split()
            point = SunSpecPoint(
                offset=int(offset),
                words=int(words),
                name=name,
                kind=kind,
                scale_factor=_given(scale_factor),
                unit=_given(unit) or "",
                is_mandatory=need == "M",
                measurement=_given(measurement),
            )
        except ValueError:
            raise SunSpecFactsError(line) from None
        points.append(point)
    return points


def _given(word: str) -> str | None:
    return None if word == "-" else word
