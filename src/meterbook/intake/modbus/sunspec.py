"""
Discovers what a SunSpec device is: finds the marker, walks its models, offers their points.

A point is offered if every such device must have it, or if this one has a number there now: at
night an inverter says "not implemented" about much that it has by day.
"""

import tomllib
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from meterbook.domain.host_polls import PollFailure
from meterbook.domain.modbus_numbers import FunctionCode, NumberType, WordOrder
from meterbook.domain.sunspec import (
    BASES,
    END_MODEL,
    HEADER_WORDS,
    MARKER,
    SunSpecModel,
    SunSpecPoint,
    points_of,
)
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.frames import ReadFailedError
from meterbook.registry.catalogue import CatalogueRegister
from meterbook.registry.poll_plans import PolledHost
from meterbook.registry.sunspec_layouts import FoundModel, NotDiscoveredError, SunSpecDevice

FACTS = Path(__file__).parent / "sunspec_models.toml"
MODELS_MAX = 100  # a device whose models never end is broken
_ADDRESSES = 65_536
_COMMON = 1
_PRIMARY_KINDS = ("inverter", "meter")
_PERCENT = 0.01
_ACCUMULATORS_EMPTY = {"acc32": 0xFFFF_FFFF, "acc64": 0xFFFF_FFFF_FFFF_FFFF}


@cache
def sunspec_models() -> dict[int, SunSpecModel]:
    """Return the information models that Meterbook knows, by number."""
    facts = tomllib.loads(FACTS.read_text(encoding="utf-8"))
    return {
        model["id"]: SunSpecModel(
            number=model["id"],
            name=model["name"],
            kind=model["kind"],
            points=points_of(model["points"]),
            repeated=points_of(model.get("repeated", "")),
        )
        for model in facts["models"]
    }


async def discover(host: PolledHost, bus: Bus) -> SunSpecDevice:
    """
    Ask a device what it is.

    :raises NotDiscoveredError: if it could not be read, or speaks no SunSpec.
    """
    try:
        return await _Discovery(host, bus).device()
    except ReadFailedError as error:
        raise NotDiscoveredError(
            f"host {host.host_id} could not be read ({error.failure.value}): {error}"
        ) from None


class _Discovery:
    def __init__(self, host: PolledHost, bus: Bus) -> None:
        self._host = host
        self._bus = bus
        self._words: dict[int, int] = {}
        self._function = FunctionCode.HOLDING

    async def device(self) -> SunSpecDevice:
        base = await self._base()
        found = [model async for model in self._walk(base + len(MARKER))]
        texts = {"Mn": "", "Md": "", "Vr": "", "SN": ""}
        for model in found:
            if model.id == _COMMON:
                texts |= self._texts(model, texts)
                break
        return SunSpecDevice(
            base=base,
            manufacturer=texts["Mn"],
            product=texts["Md"],
            version=texts["Vr"],
            serial_number=texts["SN"],
            models=found,
            registers=self._offered(found),
        )

    async def _base(self) -> int:
        for base in BASES:
            try:
                await self._read(base, len(MARKER))
            except ReadFailedError as error:
                if error.failure is not PollFailure.EXCEPTION:
                    raise
            else:
                if (self._words[base], self._words[base + 1]) == MARKER:
                    return base
        places = ", ".join(map(str, BASES))
        raise NotDiscoveredError(
            f"host {self._host.host_id} speaks no SunSpec: no marker at {places}"
        )

    async def _walk(self, address: int) -> AsyncIterator[FoundModel]:
        for _ in range(MODELS_MAX):
            await self._read(address, HEADER_WORDS)
            number, length = self._words[address], self._words[address + 1]
            if number == END_MODEL or address + HEADER_WORDS + length >= _ADDRESSES:
                return
            known = sunspec_models().get(number)
            if known is not None:
                await self._read(address, HEADER_WORDS + length)
            yield FoundModel(number, known.name if known else "", address, length)
            address += HEADER_WORDS + length

    async def _read(self, address: int, count: int) -> None:
        at_once = self._host.limits.block_words_max
        for first in range(address, address + count, at_once):
            words = min(at_once, address + count - first)
            octets = await self._bus.read(
                self._host.bus,
                slave=self._host.slave_address,
                function=self._function,
                address=first,
                count=words,
                limits=self._host.limits,
            )
            for index in range(words):
                self._words[first + index] = octets[2 * index] << 8 | octets[2 * index + 1]

    def _texts(self, found: FoundModel, wanted: dict[str, str]) -> dict[str, str]:
        texts = {}
        for point in sunspec_models()[found.id].points:
            if point.name in wanted and point.offset + point.words <= HEADER_WORDS + found.length:
                first = found.address + point.offset
                octets = b"".join(
                    self._words[at].to_bytes(2, "big") for at in range(first, first + point.words)
                )
                text = octets.split(b"\0")[0].decode("ascii", "ignore").strip()
                texts[point.name] = "".join(sign for sign in text if sign.isprintable())
        return texts

    def _offered(self, found: list[FoundModel]) -> list[CatalogueRegister]:
        models = [(model, sunspec_models()[model.id]) for model in found if model.name]
        offered: dict[str, CatalogueRegister] = {}
        for model, facts, prefix in _with_prefixes(models):
            for register in self._registers(model, facts, prefix):
                offered.setdefault(register.measurement, register)
        return list(offered.values())

    def _registers(
        self, found: FoundModel, facts: SunSpecModel, prefix: str
    ) -> list[CatalogueRegister]:
        factors = {
            point.name: found.address + point.offset
            for point in facts.points
            if point.kind == "sunssf"
        }
        registers = [
            self._register(point, found.address + point.offset, prefix, "", factors)
            for point in facts.points
            if point.offset + point.words <= HEADER_WORDS + found.length
        ]
        for number in range(facts.repetitions(found.length)):
            first = found.address + facts.fixed_words + number * facts.repeated_words
            registers += [
                self._register(point, first + point.offset, prefix, f"_mppt{number + 1}", factors)
                for point in facts.repeated
            ]
        return [register for register in registers if register is not None]

    def _register(
        self, point: SunSpecPoint, address: int, prefix: str, suffix: str, factors: dict[str, int]
    ) -> CatalogueRegister | None:
        number_type = point.number_type
        if point.measurement is None or number_type is None:
            return None
        if not (point.is_mandatory or self._has_number(point, address, number_type)):
            return None
        missing = point.not_implemented
        if missing is None:
            missing = _ACCUMULATORS_EMPTY[point.kind]
        is_percent = point.measurement.startswith("power_factor") and point.unit == "%"
        return CatalogueRegister(
            measurement=prefix + point.measurement + suffix,
            address=address,
            function_code=self._function,
            number_type=number_type,
            word_order=WordOrder.HIGH_FIRST,
            unit="" if is_percent else point.unit,
            scale=_PERCENT if is_percent else 1.0,
            missing=[missing],
            scale_address=factors.get(point.scale_factor or ""),
        )

    def _has_number(self, point: SunSpecPoint, address: int, number_type: NumberType) -> bool:
        bits = 0
        for at in range(address, address + number_type.words):
            bits = bits << 16 | self._words.get(at, 0xFFFF)
        if point.kind in _ACCUMULATORS_EMPTY:
            return bits not in {0, _ACCUMULATORS_EMPTY[point.kind]}
        return bits != point.not_implemented


def _with_prefixes(
    models: list[tuple[FoundModel, SunSpecModel]],
) -> list[tuple[FoundModel, SunSpecModel, str]]:
    """Return the models, the main one first, and what tells the others' measurements apart."""
    kinds = {facts.kind for _, facts in models}
    main = next((kind for kind in _PRIMARY_KINDS if kind in kinds), "")
    seen: dict[str, int] = {}
    prefixed = []
    for found, facts in sorted(models, key=lambda model: model[1].kind != main):
        count = seen[facts.kind] = seen.get(facts.kind, 0) + 1
        if facts.kind == "other" or (facts.kind == main and count == 1):
            prefix = ""
        else:
            prefix = f"{facts.kind}{count if count > 1 else ''}_"
        prefixed.append((found, facts, prefix))
    return prefixed
