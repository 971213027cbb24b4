"""
A packet's bytes to its numbers, or the reason of each wrong field.

The fast way decodes all fields at once; only a packet that fails it is looked at field by field.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.domain.units import kwh_to_wh

AHEAD_S_MAX = 300  # a meter's clock may be this much ahead of ours
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_NUMBER_CHARACTERS_MAX = 64


class Packet(msgspec.Struct, frozen=True, gc=False):
    """What a meter said."""

    meter_id: int
    stamp: int
    """When it said so, UTC epoch seconds."""
    energy_wh: int


class PacketLimits(msgspec.Struct, frozen=True):
    """What a packet may say."""

    reading_kwh_max: Decimal = Decimal(1000)


class PacketFieldsError(ValueError):
    """A packet with wrong fields; says what is wrong with each."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name} {', '.join(why)}" for name, why in errors.items()))
        self.errors = errors


class _Fields(msgspec.Struct, gc=False):
    id: int | str
    timestamp: str
    reading_kWh: Decimal  # noqa: N815 the wire's name


_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_decode_fields = msgspec.json.Decoder(_Fields).decode
_decode_anything = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def decode_packet(body: bytes, *, now: int, limits: PacketLimits) -> Packet:
    """
    Return the packet of a JSON body.

    :raises PacketFieldsError: naming each wrong field.
    """
    try:
        fields = _decode_fields(body)
        energy_wh = kwh_to_wh(fields.reading_kWh)
        stamp = _usual_stamp(fields.timestamp)
        number = meter_id(fields.id)
    except (msgspec.MsgspecError, ValueError, OverflowError, UnicodeDecodeError):
        return examine_packet(_anything(body), now=now, limits=limits)
    if (
        fields.reading_kWh.is_signed()
        or fields.reading_kWh > limits.reading_kwh_max
        or not 0 <= stamp <= now + AHEAD_S_MAX
    ):
        return examine_packet(_anything(body), now=now, limits=limits)
    return Packet(number, stamp, energy_wh)


def examine_packet(fields: Mapping[str, Any], *, now: int, limits: PacketLimits) -> Packet:
    """
    Return the packet of a decoded object, each field looked at on its own.

    :param fields: `id`, `timestamp`, `reading_kWh`; numbers may be int, Decimal or decimal text.
    :raises PacketFieldsError: naming each wrong field.
    """
    errors: dict[str, list[str]] = {}
    found: dict[str, int] = {}
    for name, examine in (("id", _meter_id), ("timestamp", _stamp), ("reading_kWh", _energy_wh)):
        if fields.get(name) is None:
            errors[name] = ["is required"]
            continue
        try:
            found[name] = examine(fields[name], now, limits)
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise PacketFieldsError(errors)
    return Packet(found["id"], found["timestamp"], found["reading_kWh"])


def stamp_of(written: str) -> int:
    """
    Return the instant of ISO 8601 text with a zone, in UTC epoch seconds.

    :raises ValueError: if it is not, or lies before 1970.
    """
    try:
        instant = datetime.fromisoformat(written.strip())
        offset = instant.utcoffset()
    except ValueError:
        raise ValueError("must be ISO 8601 with a zone, such as 2025-02-08T00:31:00Z") from None
    if offset is None:
        raise ValueError("must have a zone, such as the Z in 2025-02-08T00:31:00Z")
    try:
        stamp = int(instant.timestamp() // 1)
    except (OverflowError, ValueError):
        raise ValueError("is out of range") from None
    if stamp < 0:
        raise ValueError("is before 1970: the meter's clock is not set")
    return stamp


@lru_cache(maxsize=1024)  # many meters speak in the same second
def _usual_stamp(written: str) -> int:
    return int(msgspec.convert(written, _Instant).timestamp() // 1)


def _anything(body: bytes) -> dict[str, Any]:
    try:
        return _decode_anything(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PacketFieldsError({"body": [f"must be one JSON object ({error})"]}) from None


def _meter_id(written: object, _now: int, _limits: PacketLimits) -> int:
    if isinstance(written, bool) or not isinstance(written, int | str):
        raise MeterIdError("must be 1 to 999999999, with or without dashes")
    return meter_id(written)


def _stamp(written: object, now: int, _limits: PacketLimits) -> int:
    if not isinstance(written, str):
        raise ValueError("must be text: ISO 8601 with a zone")  # noqa: TRY004 a field error
    stamp = stamp_of(written)
    if stamp > now + AHEAD_S_MAX:
        raise ValueError("is more than 5 minutes in the future")
    return stamp


def _energy_wh(written: object, _now: int, limits: PacketLimits) -> int:
    energy_kwh = _decimal(written)
    if energy_kwh.is_signed() and energy_kwh != 0:
        raise ValueError("must not be negative")
    if energy_kwh > limits.reading_kwh_max:
        raise ValueError(f"must be at most {limits.reading_kwh_max}")
    return kwh_to_wh(abs(energy_kwh))


def _decimal(written: object) -> Decimal:
    if isinstance(written, bool) or not isinstance(written, int | float | Decimal | str):
        raise ValueError("must be a number")  # noqa: TRY004 a field error
    text = repr(written) if isinstance(written, float) else str(written).strip()
    if len(text) > _NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(text):
        raise ValueError("must be a finite number")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("must be a finite number") from None
