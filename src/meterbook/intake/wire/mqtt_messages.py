"""
What a message's topic and payload say: emoncms, Tasmota, Shelly, ThingsBoard.

A message may have a time of its own or not; one without is of the moment it arrives. The broker
keeps retained messages for whoever subscribes later: one without a time of its own is therefore of
no known moment, and no sample.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.input_mappings import Mapping
from meterbook.inputs.deliveries import (
    NAME_CHARACTERS_MAX,
    Announcement,
    SamplesError,
    Series,
    add_sample,
    number_of,
    require_time,
)
from meterbook.intake.wire.thingsboard import decoded, gateway_samples, telemetry_samples

Announced = dict[tuple[str, str], Announcement]
"""(device, input) to what it is."""
ZoneOf = Callable[[str], ZoneInfo]
"""The zone of a device's clock."""

_CLOCK_SET_SINCE = 946_684_800  # 2000-01-01: before it a device's clock has never been set
_COUNTER, _MOMENTARY = str(Mapping.COUNTER), str(Mapping.MOMENTARY)
_KNOWN = {
    # Tasmota
    "Total": ("kWh", _COUNTER), "Power": ("W", _MOMENTARY), "Voltage": ("V", _MOMENTARY),
    "Current": ("A", _MOMENTARY), "ApparentPower": ("VA", _MOMENTARY),
    "ReactivePower": ("var", _MOMENTARY),
    # Shelly, second generation
    "aenergy.total": ("Wh", _COUNTER), "ret_aenergy.total": ("Wh", _COUNTER),
    "total_act": ("Wh", _COUNTER), "total_act_ret": ("Wh", _COUNTER),
    "total_act_energy": ("Wh", _COUNTER), "total_act_ret_energy": ("Wh", _COUNTER),
    "apower": ("W", _MOMENTARY), "voltage": ("V", _MOMENTARY), "current": ("A", _MOMENTARY),
    "act_power": ("W", _MOMENTARY), "total_act_power": ("W", _MOMENTARY),
}  # fmt: skip
_KNOWN_GEN1 = {
    ("emeter", "total"): ("Wh", _COUNTER),
    ("emeter", "total_returned"): ("Wh", _COUNTER),
    ("emeter", "power"): ("W", _MOMENTARY),
    ("emeter", "voltage"): ("V", _MOMENTARY),
    ("emeter", "current"): ("A", _MOMENTARY),
    ("relay", "energy"): ("Wmin", _COUNTER),
    ("relay", "power"): ("W", _MOMENTARY),
}
_SHELLY_PARTS = frozenset({"switch", "em", "em1", "emdata", "em1data", "pm1", "cover", "light"})


class MessageSamples(msgspec.Struct, frozen=True):
    """What one message brought."""

    series: Series
    has_time: bool
    """Whether it says itself of when it is."""
    announced: Announced = {}


def message_samples(  # noqa: PLR0911 a case each
    topic: str, payload: bytes, *, now_ms: int, zone_of: ZoneOf
) -> MessageSamples | None:
    """
    Return what the message brought; None if its topic is none that is known here.

    :raises SamplesError: if its payload is not what its topic says.
    """
    levels = topic.split("/")
    match levels:
        case ["emon", _, *_]:
            return _emon(levels, payload, now_ms)
        case ["tele", *_, "SENSOR"]:
            return _tasmota(topic, payload, now_ms, zone_of)
        case ["shellies", device, ("emeter" | "relay") as part, number, name]:
            return _shelly_one(f"shellies/{device}", (part, number, name), payload, now_ms)
        case [*prefix, "status", part] if prefix and part.partition(":")[0] in _SHELLY_PARTS:
            content = _object(payload)
            return _shelly("/".join(prefix), {part: content}, None, now_ms)
        case [*prefix, "events", "rpc"] if prefix:
            content = _object(payload)
            params = content.get("params")
            if content.get("method") != "NotifyStatus" or not isinstance(params, dict):
                return MessageSamples({}, has_time=True)
            return _shelly("/".join(prefix), params, params.get("ts"), now_ms)
        case ["v1", "devices", "me", "telemetry"]:
            return _telemetry(payload, now_ms)
        case ["v1", "gateway", "telemetry"]:
            return _gateway(payload, now_ms)
    return None


def _emon(levels: list[str], payload: bytes, now_ms: int) -> MessageSamples:
    text = payload.decode("utf-8", "replace").strip()
    series: Series = {}
    if len(levels) > 2 and number_of(text) is not None:  # noqa: PLR2004 emon and a node
        add_sample(series, "/".join(levels[:-1]), levels[-1], now_ms, text)
        return MessageSamples(series, has_time=False)
    device = "/".join(levels)
    if not text.startswith("{"):
        for position, written in enumerate(text.split(","), 1):
            add_sample(series, device, str(position), now_ms, written)
        return MessageSamples(series, has_time=False)
    content = _object(payload)
    at_ms = _seconds_ms(content.pop("time", None), now_ms)
    for name, number in _flat(content):
        add_sample(series, device, name, now_ms if at_ms is None else at_ms, number)
    return MessageSamples(series, has_time=at_ms is not None)


def _tasmota(topic: str, payload: bytes, now_ms: int, zone_of: ZoneOf) -> MessageSamples:
    content = _object(payload)
    at_ms = _local_ms(content.pop("Time", None), zone_of(topic), now_ms)
    return _named(topic, content, at_ms, now_ms)


def _local_ms(written: object, zone: ZoneInfo, now_ms: int) -> int | None:
    """Return the instant of a local time without zone; of two in autumn the one nearer to now."""
    if not isinstance(written, str):
        return None
    try:
        local = datetime.fromisoformat(written)
    except ValueError:
        return None
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone)
    try:
        both = [int(local.replace(fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)]
    except (OverflowError, ValueError):
        return None
    at = min(both, key=lambda instant: abs(instant - now_ms // 1000))
    return _checked_ms(at * 1000, now_ms)


def _shelly(device: str, parts: dict[str, Any], stamp: object, now_ms: int) -> MessageSamples:
    kept = {
        name: content
        for name, content in parts.items()
        if name.partition(":")[0] in _SHELLY_PARTS and isinstance(content, dict)
    }
    for content in kept.values():
        for energy in ("aenergy", "ret_aenergy"):
            # The minutes of the last three are in the total too.
            if isinstance(content.get(energy), dict):
                content[energy] = {"total": content[energy].get("total")}
        content.pop("id", None)
    return _named(device, kept, _seconds_ms(stamp, now_ms), now_ms)


def _shelly_one(
    device: str, parts: tuple[str, str, str], payload: bytes, now_ms: int
) -> MessageSamples:
    part, number, name = parts
    text = payload.decode("utf-8", "replace")
    series: Series = {}
    called = f"{part}.{number}.{name}"
    add_sample(series, device, called, now_ms, text)
    known = _KNOWN_GEN1.get((part, name))
    announced = {(device, called): Announcement(*known)} if known and series else {}
    return MessageSamples(series, has_time=False, announced=announced)


def _telemetry(payload: bytes, now_ms: int) -> MessageSamples:
    series = telemetry_samples(payload, device="v1/devices/me", now_ms=now_ms)
    return MessageSamples(series, has_time=_have_times([decoded(payload)]))


def _gateway(payload: bytes, now_ms: int) -> MessageSamples:
    series = gateway_samples(payload, now_ms=now_ms)
    return MessageSamples(series, has_time=_have_times(decoded(payload).values()))


def _have_times(contents: Iterable[Any]) -> bool:
    entries = (content if isinstance(content, list) else [content] for content in contents)
    return all("ts" in entry for of_device in entries for entry in of_device)


def _named(device: str, content: dict[str, Any], at_ms: int | None, now_ms: int) -> MessageSamples:
    series: Series = {}
    announced: Announced = {}
    for name, number in _flat(content):
        if add_sample(series, device, name, now_ms if at_ms is None else at_ms, number):
            known = _known(name)
            if known:
                announced[device, name] = Announcement(*known)
    return MessageSamples(series, has_time=at_ms is not None, announced=announced)


def _known(name: str) -> tuple[str, str] | None:
    levels = [level for level in name.split(".") if not level.isdigit()]
    return _KNOWN.get(".".join(levels[-2:])) or _KNOWN.get(levels[-1] if levels else "")


def _flat(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """
    Yield the numbers of nested objects and arrays, named by their way: `ENERGY.Total.1`.

    :raises SamplesError: if they are nested deeper than a name is long.
    """
    if len(before) > NAME_CHARACTERS_MAX:
        raise SamplesError("the payload is nested too deep")
    for name, item in content.items():
        called = f"{before}{name}"
        if isinstance(item, dict):
            yield from _flat(item, f"{called}.")
        elif isinstance(item, list):
            yield from _flat({str(i): part for i, part in enumerate(item, 1)}, f"{called}.")
        elif not isinstance(item, str) or number_of(item) is not None:
            yield called, item


def _seconds_ms(stamp: object, now_ms: int) -> int | None:
    number = number_of(stamp) if isinstance(stamp, str) else stamp
    if isinstance(number, bool) or number is None:
        return None
    try:
        return _checked_ms(round(float(number) * 1000), now_ms)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _checked_ms(at_ms: int, now_ms: int) -> int | None:
    if at_ms < _CLOCK_SET_SINCE * 1000:
        return None
    require_time(at_ms, now_ms=now_ms)
    return at_ms


def _object(payload: bytes) -> dict[str, Any]:
    content = decoded(payload)
    if not isinstance(content, dict):
        raise SamplesError("the payload must be a JSON object")
    return content
