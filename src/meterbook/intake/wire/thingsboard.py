"""
ThingsBoard's device API: `POST /api/v1/ACCESS-TOKEN/telemetry`, and the same payloads by MQTT.

The access token names the device: it is called by the label of its key.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from meterbook.inputs.deliveries import Delivery, SamplesError, Series, add_sample, require_time
from meterbook.intake.senders import key_hash
from meterbook.intake.wire.doors import Keeper
from meterbook.intake.wire.requests import Reply, WireRequest

_PATH = re.compile(r"/api/v1/(?P<token>[^/]{1,256})/(?P<action>telemetry|attributes)")
_decode = msgspec.json.Decoder().decode


class ThingsboardDoor:
    """`/api/v1/ACCESS-TOKEN/telemetry`."""

    scheme = "thingsboard"

    def __init__(self, keeper: Keeper) -> None:
        """Prepare."""
        self._keeper = keeper

    async def answer(self, request: WireRequest) -> Reply:
        """Answer a request."""
        found = _PATH.fullmatch(request.path)
        if not found:
            return Reply(404)
        if request.method != "POST":
            return Reply(405, headers={b"allow": b"POST"})
        hashed = key_hash(found["token"])
        series: Series = {}
        if found["action"] == "telemetry":
            now_ms = time.time_ns() // 1_000_000
            series = await self._keeper.parsed(
                request.body,
                lambda: telemetry_samples(request.body, device="-", now_ms=now_ms),
                key_hash=hashed,
            )
        await self._keeper.keep(Delivery(self.scheme, series, hashed, named_by_key=True))
        return Reply(200)

    def refusal(self, status: int, reason: str, error: Exception) -> Reply:  # noqa: ARG002 a door's
        """Say why not."""
        body = msgspec.json.encode({"status": status, "message": reason})
        return Reply(status, body, "application/json")


def telemetry_samples(body: bytes, *, device: str, now_ms: int) -> Series:
    """
    Return what `{"k": v}`, `{"ts": ms, "values": {...}}`, or an array of those, brought.

    :raises SamplesError: if it is none of them.
    """
    series: Series = {}
    _add_entries(series, decoded(body), device=device, now_ms=now_ms)
    return series


def gateway_samples(body: bytes, *, now_ms: int) -> Series:
    """
    Return what a gateway sent: `{"Device A": [{"ts": ms, "values": {...}}], ...}`.

    :raises SamplesError: if it is not that.
    """
    content = decoded(body)
    if not isinstance(content, dict):
        raise SamplesError("must be an object of devices")
    series: Series = {}
    for device, entries in content.items():
        _add_entries(series, entries, device=device, now_ms=now_ms)
    return series


def decoded(body: bytes) -> Any:
    """
    Return what JSON says.

    :raises SamplesError: if it is none.
    """
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise SamplesError("the body is not JSON") from None


def _add_entries(series: Series, content: Any, *, device: str, now_ms: int) -> None:
    for at_ms, numbers in _entries(content, now_ms):
        require_time(at_ms, now_ms=now_ms)
        for name, number in numbers.items():
            add_sample(series, device, name, at_ms, number)


def _entries(content: Any, now_ms: int) -> Iterator[tuple[int, dict[str, Any]]]:
    for entry in content if isinstance(content, list) else [content]:
        if not isinstance(entry, dict):
            raise SamplesError("must be an object or an array of objects")
        if "ts" in entry and isinstance(entry.get("values"), dict):
            stamp = entry["ts"]
            if isinstance(stamp, bool) or not isinstance(stamp, int | float):
                raise SamplesError("ts must be milliseconds")
            yield int(stamp), entry["values"]
        else:
            yield now_ms, entry
