"""
volkszaehler's middleware as vzlogger posts to it: `/data/UUID.json`, `[[milliseconds, number]]`.

The UUID is the key: whoever knows it may write it. It is a key given here, and then the device is
called by the key's label, or from a trusted network any UUID, and then the device is the UUID.
"""

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from meterbook.inputs.deliveries import Delivery, SamplesError, Series, add_sample, require_time
from meterbook.intake.senders import KeyRequiredError, key_hash
from meterbook.intake.wire.doors import Keeper
from meterbook.intake.wire.requests import Reply, WireRequest, form_fields

VERSION = "0.3"
INPUT = "value"
_PATH = re.compile(
    r"(?:/middleware(?:\.php)?)?/data(?:/(?P<uuid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}"
    r"-[0-9A-Fa-f]{12}))?(?:\.json)?"
)
_decode = msgspec.json.Decoder().decode


class VzloggerDoor:
    """`/data/UUID.json`, with or without `/middleware.php` before it."""

    scheme = "vzlogger"

    def __init__(self, keeper: Keeper) -> None:
        """Prepare."""
        self._keeper = keeper

    async def answer(self, request: WireRequest) -> Reply:
        """Answer a request."""
        found = _PATH.fullmatch(request.path)
        if not found or not found["uuid"]:
            return _json(400, {"version": VERSION, "exception": {"message": "a UUID is required"}})
        uuid = found["uuid"].lower()
        if request.method not in {"GET", "POST"}:
            return _json(405, {"version": VERSION, "exception": {"message": "GET or POST"}})
        operation = request.query.get("operation", "add" if request.method == "POST" else "get")
        if operation != "add":
            raise SamplesError("only adding is done here")
        now_ms = time.time_ns() // 1_000_000
        series, rows = await self._keeper.parsed(request.body, _parser(request, uuid, now_ms))
        await self._keep(request, uuid, series)
        return _json(200, {"version": VERSION, "rows": rows})

    async def _keep(self, request: WireRequest, uuid: str, series: Series) -> None:
        try:
            await self._keeper.keep(
                Delivery(self.scheme, series, key_hash(uuid), named_by_key=True)
            )
        except KeyRequiredError:
            self._keeper.hash_of(request, None)
            await self._keeper.keep(Delivery(self.scheme, series))

    def refusal(self, status: int, reason: str, error: Exception) -> Reply:
        """Say why not as the middleware does."""
        exception = {"message": reason, "type": type(error).__name__, "code": 0}
        return _json(status, {"version": VERSION, "exception": exception})


def _parser(request: WireRequest, uuid: str, now_ms: int) -> Callable[[], tuple[Series, int]]:
    def parse() -> tuple[Series, int]:
        series: Series = {}
        pairs = tuples(request, now_ms=now_ms)
        for at, number in pairs:
            try:
                at_ms = int(at)
            except (TypeError, ValueError, OverflowError):
                raise SamplesError("a stamp is no number of milliseconds") from None
            require_time(at_ms, now_ms=now_ms)
            add_sample(series, uuid, INPUT, at_ms, number)
        return series, len(pairs)

    return parse


def tuples(request: WireRequest, *, now_ms: int) -> list[tuple[Any, Any]]:
    """
    Return the (stamp, number) pairs of a request.

    :raises SamplesError: if the body is not an array of pairs.
    """
    body = request.body.strip()
    if body[:1] in {b"[", b"{"}:
        try:
            rows = _decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise SamplesError("the body is not JSON") from None
        if rows and isinstance(rows, list) and not isinstance(rows[0], list):
            rows = [rows]
        if not isinstance(rows, list) or not all(
            isinstance(row, list) and len(row) > 1 for row in rows
        ):
            raise SamplesError("the body must be [[milliseconds, number], ...]")
        return [(row[0], row[1]) for row in rows]
    fields = request.query | form_fields(body)
    if body and "value" not in fields and "ts" not in fields:
        raise SamplesError("the body must be [[milliseconds, number], ...], or ts and value")
    # The middleware counts a pulse where no value is given.
    return [(fields.get("ts") or now_ms, fields.get("value", "1"))]


def _json(status: int, content: object) -> Reply:
    return Reply(status, msgspec.json.encode(content), "application/json")
