"""
A virtual SunSpec device: marker, models, end marker, filled from a home like any other.

What a model may have and this device has not says "not implemented", as real ones do.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from meterbook.domain.modbus_numbers import FunctionCode, NumberType
from meterbook.domain.register_words import number_of_words, words_of_number
from meterbook.domain.sunspec import END_MODEL, HEADER_WORDS, MARKER, SunSpecModel, SunSpecPoint
from meterbook.simulate.modbus.faults import Fault, Faults
from meterbook.simulate.modbus.homes import STEP_MS
from meterbook.simulate.modbus.quantities import Measured

TEXTS = {"Mn": "Meterbook", "Md": "Virtual Sun", "Vr": "1.0", "SN": "000001"}
_SCALE_FACTORS = {"A_SF": -2, "V_SF": -1, "Hz_SF": -2, "PF_SF": -2, "DCA_SF": -2, "DCV_SF": -1}
_SCALE_FACTORS |= {"WH_SF": 1, "Tmp_SF": -1, "TotWh_SF": 0, "WRtg_SF": 1}
_STRINGS = 2  # of panels
_NOT_HERE = frozenset({"temperature_transformer", "temperature_other", "rated_storage_energy"})


class VirtualSunSpecDevice:
    """An inverter, and whatever other models it is given."""

    def __init__(
        self,
        models: Sequence[SunSpecModel],
        measured: Measured,
        *,
        base: int = 40_000,
        faults: Faults | None = None,
    ) -> None:
        """
        Switch it on.

        :param models: in their order, the common model first.
        """
        self.faults = faults or Faults()
        self._models = models
        self._measured = measured
        self._base = base
        self._step = -1
        self._words: dict[int, int] = {}
        self._held: dict[tuple[int, str], Decimal] = {}

    def words(self, function: int, address: int, count: int, *, now_ms: int) -> list[int] | None:
        """Return what registers hold; None if the device has no such registers."""
        if function != FunctionCode.HOLDING:
            return None
        self._refresh(now_ms)
        found = [self._words.get(at) for at in range(address, address + count)]
        return None if None in found else [word for word in found if word is not None]

    def held(self, *, now_ms: int) -> Mapping[tuple[int, str], Decimal]:
        """Return, by model and measurement, what the words say in the point's unit, exactly."""
        self._refresh(now_ms)
        return self._held

    def _refresh(self, now_ms: int) -> None:
        step = now_ms // STEP_MS
        if step == self._step and not self.faults.shares:
            return
        self._step = step
        self._measured.advance(step * STEP_MS)
        silent = self.faults.strikes(Fault.SENTINELS)
        at = self._base
        self._put(at, MARKER)
        at += len(MARKER)
        for model in self._models:
            repeats = _STRINGS if model.repeated else 0
            length = model.fixed_words - HEADER_WORDS + repeats * model.repeated_words
            self._put(at, (model.number, length))
            self._fill(model, model.points, at, "", 1, silent=silent)
            first = at + model.fixed_words
            for number in range(1, repeats + 1):
                suffix = f"_mppt{number}"
                self._fill(model, model.repeated, first, suffix, repeats, silent=silent)
                first += model.repeated_words
            at += HEADER_WORDS + length
        self._put(at, (END_MODEL, 0))

    def _fill(
        self,
        model: SunSpecModel,
        points: Sequence[SunSpecPoint],
        at: int,
        suffix: str,
        parts: int,
        *,
        silent: bool,
    ) -> None:
        for point in points:
            words = None if silent else self._words_of(model, point, suffix, parts)
            if words is None:
                bits = 0 if point.not_implemented is None else point.not_implemented
                words = [bits >> 16 * n & 0xFFFF for n in reversed(range(point.words))]
            self._put(at + point.offset, words)

    def _words_of(
        self, model: SunSpecModel, point: SunSpecPoint, suffix: str, parts: int
    ) -> list[int] | None:
        if point.kind == "string":
            octets = TEXTS.get(point.name, "").encode().ljust(2 * point.words, b"\0")
            return [int.from_bytes(octets[n : n + 2], "big") for n in range(0, len(octets), 2)]
        if point.kind == "sunssf":
            factor = _SCALE_FACTORS.get(point.name, 0)
            return words_of_number(factor, number_type=NumberType.INT16)
        if point.name == "N":
            return [_STRINGS]
        number_type, name = point.number_type, point.measurement
        if number_type is None or name is None or name in _NOT_HERE:
            return None
        is_inverter = model.kind != "meter"
        exact = Fraction(self._measured.quantity(name, is_inverter=is_inverter)) / parts
        factor = _SCALE_FACTORS.get(point.scale_factor or "", 0) if point.scale_factor else 0
        exact *= 100 if point.unit == "%" else 1
        exact /= Fraction(10) ** factor
        number: int | float = round(exact)
        if number_type in {NumberType.FLOAT32, NumberType.FLOAT64}:
            number = float(exact)
        elif point.kind.startswith("acc"):
            number = int(exact)
        words = words_of_number(number, number_type=number_type)
        told = number_of_words(words, number_type=number_type)
        if told is not None:
            self._held[model.number, name + suffix] = Decimal(told).scaleb(factor)
        return words

    def _put(self, at: int, words: Sequence[int]) -> None:
        for index, word in enumerate(words):
            self._words[at + index] = word
