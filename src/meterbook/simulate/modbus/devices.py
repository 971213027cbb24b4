"""
Virtual devices: registers that hold what a home's meter or inverter would measure now.

The words change with the home's steps, not with each request: between two steps a device holds
still, and `held` says exactly what it holds.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor

from meterbook.domain.modbus_numbers import FunctionCode, MeasurementKind, NumberType, WordOrder
from meterbook.domain.register_words import number_of_words, words_of_number
from meterbook.registry.catalogue import CatalogueModel, CatalogueRegister
from meterbook.simulate.modbus.faults import Fault, Faults
from meterbook.simulate.modbus.homes import STEP_MS
from meterbook.simulate.modbus.quantities import Measured

_FLOATS = {NumberType.FLOAT32: 0x7FC0_0000, NumberType.FLOAT64: 0x7FF8_0000_0000_0000}
_METER = "meter_"  # what an inverter says of the meter behind it
_PREFIXES = {"k": 1_000, "M": 1_000_000}
Words = Mapping[tuple[int, int], int]


class VirtualDevice:
    """A device of a catalogued model."""

    def __init__(
        self,
        model: CatalogueModel,
        measured: Measured,
        *,
        faults: Faults | None = None,
        has_holes: bool = False,
    ) -> None:
        """
        Switch it on.

        :param has_holes: refuse registers that hold nothing, instead of answering 0 for those
            between others.
        """
        self.model = model
        self.faults = faults or Faults()
        self._measured = measured
        own = (one.measurement for one in model.registers if not _of_its_meter(one.measurement))
        self._is_inverter = not any("consumed" in name for name in own)
        self._has_holes = has_holes
        self._step = -1
        self._words: dict[tuple[int, int], int] = {}
        self._reset_from: dict[str, Fraction] = {}
        self._bounds = _bounds(model.registers)

    def words(self, function: int, address: int, count: int, *, now_ms: int) -> list[int] | None:
        """Return what registers hold; None if the device has no such registers."""
        self._refresh(now_ms)
        first, end = self._bounds.get(function, (0, 0))
        if address < first or address + count > end:
            return None
        asked = [(function, at) for at in range(address, address + count)]
        if self._has_holes and not all(at in self._words for at in asked):
            return None
        return [self._words.get(at, 0) for at in asked]

    def held(self, *, now_ms: int) -> dict[str, Decimal | None]:
        """Return each measurement in its register's unit, exactly as the words have it."""
        self._refresh(now_ms)
        held = {}
        for register in self.model.registers:
            function = int(register.function_code)
            words = [self._words[function, at] for at in addresses_of(register)]
            number = number_of_words(
                words,
                number_type=register.number_type,
                word_order=register.order_of_words,
                missing=register.missing,
            )
            scale = Decimal(repr(register.scale))
            held[register.measurement] = None if number is None else Decimal(number) * scale
        return held

    def _refresh(self, now_ms: int) -> None:
        step = now_ms // STEP_MS
        glitch = self.faults.strikes(Fault.COUNTER_GLITCH)
        if step == self._step and not self.faults.shares:
            return
        self._step = step
        self._measured.advance(step * STEP_MS)
        silent = self.faults.strikes(Fault.SENTINELS)
        for register in self.model.registers:
            words = None
            if silent:
                words = _no_number(register)
            if words is None:
                words = self._encoded(register, glitch=glitch)
            for at, word in zip(addresses_of(register), words, strict=True):
                self._words[int(register.function_code), at] = word

    def _encoded(self, register: CatalogueRegister, *, glitch: bool) -> list[int]:
        name = register.measurement
        is_inverter = self._is_inverter and not _of_its_meter(name)
        quantity = self._measured.quantity(name.removeprefix(_METER), is_inverter=is_inverter)
        if register.kind is MeasurementKind.HISTORICAL:
            quantity = 0 if glitch else self._since_reset(name, Fraction(quantity))
        prefix = _PREFIXES.get(register.unit[0], 1) if len(register.unit) > 1 else 1
        raw = Fraction(quantity) / prefix / Fraction(repr(register.scale))
        number: int | float
        if register.number_type in _FLOATS:
            number = float(raw)
        else:
            # A dial shows what is full; everything else is the nearest number.
            number = floor(raw) if register.kind is MeasurementKind.HISTORICAL else round(raw)
        return words_of_number(
            number, number_type=register.number_type, word_order=register.order_of_words
        )

    def _since_reset(self, name: str, energy: Fraction) -> Fraction:
        if Fault.COUNTER_RESET not in self.faults.shares:
            self._reset_from.pop(name, None)
            return energy
        return energy - self._reset_from.setdefault(name, energy)


def addresses_of(register: CatalogueRegister) -> Sequence[int]:
    """Return where a register's words are."""
    first = register.address
    return register.word_addresses or range(first, first + register.number_type.words)


def _of_its_meter(measurement: str) -> bool:
    return measurement.startswith(_METER)


def _no_number(register: CatalogueRegister) -> list[int] | None:
    number_type = register.number_type
    if number_type in _FLOATS:
        bits = _FLOATS[number_type]
    elif register.missing:
        bits = register.missing[0] % (1 << 16 * number_type.words)
    else:
        return None
    words = [bits >> 16 * at & 0xFFFF for at in reversed(range(number_type.words))]
    return words if register.order_of_words is WordOrder.HIGH_FIRST else words[::-1]


def _bounds(registers: Sequence[CatalogueRegister]) -> dict[int, tuple[int, int]]:
    bounds: dict[int, tuple[int, int]] = {}
    for register in registers:
        function = int(FunctionCode(register.function_code))
        first, end = bounds.get(function, (65_536, 0))
        taken = addresses_of(register)
        bounds[function] = min(first, *taken), max(end, max(taken) + 1)
    return bounds


Clock = Callable[[], int]
"""The present instant, UTC epoch milliseconds."""
