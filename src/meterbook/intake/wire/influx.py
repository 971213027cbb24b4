"""
InfluxDB's write API, version 1 and 2: what Telegraf, Home Assistant and IoTaWatt speak.

Writing is here, with the answers to what clients ask before they write. A password or a token is
a device key; which user, organisation or bucket is written is the client's own affair, except that
the database or bucket becomes part of the device's name. Who reads shows an account's token
instead, and is answered by what `app` hands in.
"""

import asyncio
import base64
import binascii
import time
from typing import Any, Protocol

import msgspec

from meterbook.domain.influxql import QueryError
from meterbook.inputs.deliveries import Delivery, SamplesError
from meterbook.intake.senders import KeyRequiredError
from meterbook.intake.wire.doors import Keeper
from meterbook.intake.wire.line_protocol import PRECISION_NS, LinesError, line_samples
from meterbook.intake.wire.requests import Reply, WireRequest, form_fields

VERSION = "1.8.10"  # clients read the number to know which of both APIs is spoken
_V2 = "/api/v2/"
_JSON = "application/json"
_IDENTITY = {b"x-influxdb-version": VERSION.encode(), b"x-influxdb-build": b"OSS"}
_CODES = {
    400: "invalid",
    401: "unauthorized",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    415: "invalid",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}


class EnergyAnswers(Protocol):
    """Answers queries of accounts."""

    def answer(
        self, secret: str, query: str, *, epoch: str, now: int
    ) -> list[dict[str, Any]] | None:
        """Return the series of the answer; None if the secret is no token of an account."""


class InfluxDoor:
    """`/write`, `/api/v2/write`, `/ping`, `/health` and `/query`."""

    scheme = "influxdb"

    def __init__(self, keeper: Keeper, *, energy: EnergyAnswers) -> None:
        """Prepare."""
        self._keeper = keeper
        self._energy = energy

    async def answer(self, request: WireRequest) -> Reply:
        """Answer a request."""
        match request.path:
            case "/ping" | "/api/v2/ping":
                return Reply(204, headers=_IDENTITY)
            case "/health":
                return _json(200, {"name": "influxdb", "status": "pass", "version": VERSION,
                                   "message": "ready for writes"})  # fmt: skip
            case "/write" | "/api/v2/write":
                if request.method != "POST":
                    return _answer(request.path, 405, "POST line protocol here")
                return await self._write(request)
            case "/query":
                return await self._query(request)
        return _answer(request.path, 404, "no such thing here")

    def refusal(self, status: int, reason: str, error: Exception) -> Reply:
        """Say why not in the words of both versions: clients of one ignore the other's field."""
        body: dict[str, Any] = {"code": _CODES.get(status, "internal error"), "message": reason}
        if isinstance(error, KeyRequiredError):
            body["message"] = "unauthorized access"
        if isinstance(error, LinesError):
            body["line"] = error.errors[0].number
        headers = _IDENTITY | (
            {b"www-authenticate": b'Basic realm="InfluxDB"'} if status == 401 else {}  # noqa: PLR2004
        )
        body["error"] = "authorization failed" if status == 401 else reason  # noqa: PLR2004
        return Reply(status, msgspec.json.encode(body), _JSON, headers)

    async def _write(self, request: WireRequest) -> Reply:
        key_hash = self._keeper.hash_of(request, _shown_key(request))
        is_v2 = request.path.startswith(_V2)
        place = request.query.get("bucket" if is_v2 else "db", "").strip()
        if not place:
            raise SamplesError("bucket is required" if is_v2 else "database is required")
        precision = request.query.get("precision") or "ns"
        if precision not in PRECISION_NS or (is_v2 and precision in {"m", "h"}):
            raise SamplesError(f"invalid precision {precision!r}")
        now_ms = time.time_ns() // 1_000_000
        series = await self._keeper.parsed(
            request.body,
            lambda: line_samples(
                request.body, database=place, unit_ns=PRECISION_NS[precision], now_ms=now_ms
            ),
            key_hash=key_hash,
        )
        await self._keeper.keep(Delivery(self.scheme, series, key_hash))
        return Reply(204, headers=_IDENTITY)

    async def _query(self, request: WireRequest) -> Reply:
        shown = _shown_key(request)
        fields = request.query | form_fields(request.body)
        asked = fields.get("q", "")
        if (
            shown
            and (found := await self._found(shown, asked, fields.get("epoch", ""))) is not None
        ):
            return _json(
                200, {"results": [{"statement_id": 0} | ({"series": found} if found else {})]}
            )
        key_hash = self._keeper.hash_of(request, shown)
        if key_hash is not None and not await self._keeper.is_key(key_hash):
            raise KeyRequiredError("no such key")
        result: dict[str, Any] = {"statement_id": 0}
        if asked.strip().rstrip(";").upper() == "SHOW DATABASES":
            names = {"name": "databases", "columns": ["name"], "values": [["meterbook"]]}
            result["series"] = [names]
        return _json(200, {"results": [result]})

    async def _found(self, secret: str, query: str, epoch: str) -> list[dict[str, Any]] | None:
        now = int(time.time())
        try:
            return await asyncio.to_thread(self._energy.answer, secret, query, epoch=epoch, now=now)
        except QueryError as error:
            raise SamplesError(f"error parsing query: {error}") from None


def _json(status: int, content: object) -> Reply:
    return Reply(status, msgspec.json.encode(content), _JSON, _IDENTITY)


def _answer(path: str, status: int, reason: str) -> Reply:
    if path.startswith(_V2):
        return _json(status, {"code": _CODES[status], "message": reason})
    return _json(status, {"error": reason})


def _shown_key(request: WireRequest) -> str | None:
    scheme, _, shown = request.header(b"authorization").strip().partition(" ")
    shown = shown.strip()
    match scheme.lower():
        case "token" | "bearer":
            # Version 1 clients send user and password as a token.
            return shown.rpartition(":")[2] or None
        case "basic":
            try:
                pair = base64.b64decode(shown, validate=True).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                raise KeyRequiredError("Authorization is no Basic") from None
            return pair.partition(":")[2] or None
        case "":
            return request.query.get("p") or None
    raise KeyRequiredError("Authorization must be Token, Bearer or Basic")
