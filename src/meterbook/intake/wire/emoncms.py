"""
emoncms's input API: what emonHub, IoTaWatt and pyemoncms speak.

Answers are emoncms's to the byte: emonHub keeps sending what is not answered with `ok`.
"""

import asyncio
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec

from meterbook.inputs.deliveries import Delivery, SamplesError, Series
from meterbook.inputs.latest import latest_by_device
from meterbook.intake.bodies import BodyTooLargeError
from meterbook.intake.senders import KeyRequiredError
from meterbook.intake.wire.doors import Keeper
from meterbook.intake.wire.emoncms_cipher import CONTENT_TYPES, decrypted, receipt, signed_with
from meterbook.intake.wire.emoncms_samples import bulk_samples, post_samples, unpacked
from meterbook.intake.wire.requests import Reply, WireRequest, form_fields
from meterbook.registry.device_keys import decryption_keys, labels_of_keys
from meterbook.registry.personal_data import PersonalData
from meterbook.storage.database import Database

VERSION = "11.6.0"  # an emoncms whose input API this is; clients show it, none refuses it
SEALED_BYTES_MAX = 65_536  # every key of the account may be tried on it; devices send a few hundred
_REALM = b'Bearer realm="API KEY", error="invalid_apikey", error_description="Invalid API key"'
_OK = Reply(200, b"ok")
_SUCCESS = Reply(200, b'{"success": true}', "application/json")


class EmoncmsDoor:
    """`/input/post`, `/input/bulk`, `/input/get`, and what clients probe."""

    scheme = "emoncms"

    def __init__(
        self, keeper: Keeper, *, database: Database, personal: PersonalData, zone: ZoneInfo
    ) -> None:
        """Prepare; the database is only asked for keys and last values."""
        self._keeper = keeper
        self._database = database
        self._personal = personal
        self._zone = zone

    async def answer(self, request: WireRequest) -> Reply:
        """Answer a request."""
        path = request.path.removeprefix("/emoncms").removesuffix(".json").rstrip("/")
        match path.split("/")[1:]:
            case ["describe"]:
                return Reply(200, b"emoncms")
            case ["version"]:
                return Reply(200, VERSION.encode())
            case ["time", "local"]:
                return Reply(200, b"t%d,0" % int(time.time()))
            case ["input", ("post" | "bulk") as action, *node] if len(node) < 2:  # noqa: PLR2004
                return await self._take(request, action, node[0] if node else None)
            case ["input", "get", *node] if len(node) < 2:  # noqa: PLR2004 one node
                return await self._latest(request, node[0] if node else None)
        return Reply(404, b"no such thing here")

    def refusal(self, status: int, reason: str, error: Exception) -> Reply:
        """Say why not, as emoncms does: with 200, unless the key is wrong or it is our fault."""
        if isinstance(error, KeyRequiredError):
            return Reply(status, b"Invalid API key", headers={b"www-authenticate": _REALM})
        body = msgspec.json.encode({"success": False, "message": reason})
        is_wrong = isinstance(error, SamplesError)
        return Reply(200 if is_wrong else status, body, "application/json")

    async def _take(self, request: WireRequest, action: str, node: str | None) -> Reply:
        if request.content_type in CONTENT_TYPES:
            return await self._take_encrypted(request, action, node)
        form, packed = await self._keeper.parsed(request.body, lambda: _form(request))
        fields = request.query | form | packed
        key = _shown_key(request, form, devicekey=True)
        key_hash = self._keeper.hash_of(request, key)
        parse = self._parser(fields, action, node)
        series = await self._keeper.parsed(request.body, parse, key_hash=key_hash)
        await self._keeper.keep(Delivery(self.scheme, series, key_hash))
        return _SUCCESS if "fulljson" in fields else _OK

    async def _take_encrypted(self, request: WireRequest, action: str, node: str | None) -> Reply:
        if len(request.body) > SEALED_BYTES_MAX:
            raise BodyTooLargeError(bytes_max=SEALED_BYTES_MAX)
        account_id, shown_hmac = signed_with(request.header(b"authorization"))
        keys = await asyncio.to_thread(self._keys_of, account_id)
        found = decrypted(request.body, shown_hmac=shown_hmac, keys=keys)
        if found is None:
            raise KeyRequiredError("no key of that user decrypts it")
        plain, key = found
        written = unpacked(plain) if request.content_type.endswith("gz") else plain
        parse = self._parser(form_fields(written), action, node)
        series = await self._keeper.parsed(written, parse)
        key_hash = self._keeper.hash_of(request, key)
        await self._keeper.keep(Delivery(self.scheme, series, key_hash))
        return Reply(200, receipt(plain))

    def _parser(
        self, fields: dict[str, str], action: str, node: str | None
    ) -> Callable[[], Series]:
        now = int(time.time())
        if action == "bulk":
            return lambda: bulk_samples(fields, now=now)
        return lambda: post_samples(fields, node=node, now=now, zone=self._zone)

    def _keys_of(self, account_id: int) -> list[str]:
        with self._database.reading() as connection:
            return decryption_keys(connection, self._personal, account_id=account_id)

    async def _latest(self, request: WireRequest, node: str | None) -> Reply:
        key = _shown_key(request, form_fields(request.body), devicekey=False)
        key_hash = self._keeper.hash_of(request, key)
        wanted = node or request.query.get("node")
        found = await asyncio.to_thread(self._latest_of, key_hash, wanted)
        if wanted is not None and wanted not in found:
            return Reply(200, b'"Node does not exist"', "application/json")
        answer = found if wanted is None else found[wanted]
        return Reply(200, msgspec.json.encode(answer), "application/json")

    def _latest_of(
        self, key_hash: str | None, node: str | None
    ) -> dict[str, dict[str, dict[str, object]]]:
        with self._database.reading() as connection:
            sent_by = 0
            if key_hash is not None:
                keys = labels_of_keys(connection, {key_hash})
                if key_hash not in keys:
                    raise KeyRequiredError("no such key")
                sent_by = keys[key_hash][0]
            latest = latest_by_device(
                connection, scheme=self.scheme, sent_by=sent_by, foreign_id=node
            )
        # IoTaWatt looks for the text "time": up to the next comma.
        return {
            device: {
                name: {"time": at_ms // 1000, "value": amount, "processList": ""}
                for name, (at_ms, amount) in inputs.items()
            }
            for device, inputs in latest.items()
        }


def _form(request: WireRequest) -> tuple[dict[str, str], dict[str, str]]:
    """Return the body's fields, and its data where it is all packed data."""
    if "cb" in request.query:
        return {}, {"data": unpacked(request.body).decode("utf-8", "replace")}
    return form_fields(request.body), {}


def _shown_key(request: WireRequest, form: dict[str, str], *, devicekey: bool) -> str | None:
    for name in ("apikey", "devicekey"):
        for fields in (request.query, form):
            if name in fields:
                if name == "devicekey" and not devicekey:
                    raise KeyRequiredError("a device key may only post")
                return fields[name] or None
    return request.header(b"authorization").replace("Bearer ", "").strip() or None
