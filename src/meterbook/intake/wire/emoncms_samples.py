"""
The bodies of emoncms's input API (Modules/input/input_methods.php), parsed as strictly as is safe.

Where emoncms turns what is no number into 0, here it is missing: a sensor that says null or nan
has not measured nothing. All rows of a bulk are looked at before any is taken.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from meterbook.inputs.deliveries import SamplesError, Series, add_sample, number_of, require_time
from meterbook.intake.bodies import BodyTooLargeError

_NOT_IN_NAMES = re.compile(r"[^\w\s\-.]|[\x00-\x1f\x7f]")
_DATA_KEYS = ("json", "fulljson", "csv", "data")
_COLUMNS_MIN = 3  # time, node and one number
NO_SAMPLES = "Request contains no data via csv, json or data tag"
NO_JSON = "Format error, json string supplied is not valid"
NOTHING_LAST = "Format error, last item in bulk data does not contain any data"
_decode = msgspec.json.Decoder().decode


def post_samples(
    fields: Mapping[str, str], *, node: str | None, now: int, zone: ZoneInfo
) -> Series:
    """
    Return what `/input/post` brought.

    :param node: of the path, where it has one.
    :raises SamplesError: in emoncms's words.
    """
    kind = next((key for key in _DATA_KEYS if key in fields), None)
    if kind is None:
        raise SamplesError(NO_SAMPLES)
    device = clean_name(node or fields.get("node", "")) or "0"
    named: list[tuple[str, Any]]
    written = fields[kind]
    stamp: Any = None
    if kind == "fulljson":
        decoded = _json(written)
        if not isinstance(decoded, dict):
            raise SamplesError(NO_JSON)
        stamp = decoded.pop("time", None)
        named = list(decoded.items())
    elif kind == "csv":
        named = [(str(i), text) for i, text in enumerate(written.split(","), 1)]
    else:
        named = lenient_pairs(written)
    at = _instant(fields.get("time", stamp), now=now, zone=zone)
    require_time(at * 1000, now_ms=now * 1000)
    series: Series = {}
    for name, number in named:
        if cleaned := clean_name(name):
            add_sample(series, device, cleaned, at * 1000, number)
    return series


def lenient_pairs(written: str) -> list[tuple[str, Any]]:
    """
    Return the pairs of `{power1:100,"power2":200}`, with or without braces and quotes.

    Of what has no name (`100,200`) the position is the name.
    """
    bare = re.sub(r'[{}"]', "", written)
    pairs: list[tuple[str, Any]] = []
    for position, part in enumerate(bare.split(","), 1):
        name, colon, number = part.partition(":")
        pairs.append((name.strip(), number) if colon else (str(position), name))
    return pairs


def bulk_samples(fields: Mapping[str, str], *, now: int) -> Series:
    """
    Return what `/input/bulk` brought.

    A row's time is relative to when it was sent, so that a sender's wrong clock does no harm:

        sentat ─► now - sentat + t      offset ─► now - offset + t
        time   ─► time + t              none   ─► now - t of the last row + t

    :raises SamplesError: in emoncms's words; then no row is taken.
    """
    written = fields.get("data")
    if written is None:
        raise SamplesError(NO_JSON)
    if "c" in fields and "cb" not in fields:
        written = unpacked_hex(written)
    rows = _json(written)
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise SamplesError(NO_JSON)
    if not rows or len(rows[-1]) < _COLUMNS_MIN:
        raise SamplesError(NOTHING_LAST)
    reference = _reference(fields, rows, now)
    series: Series = {}
    for row in rows:
        if len(row) < _COLUMNS_MIN:
            continue
        at_ms = round((reference + _seconds(row[0])) * 1000)
        require_time(at_ms, now_ms=now * 1000)
        device = clean_name(str(row[1])) if isinstance(row[1], str | int | float) else ""
        if not device:
            raise SamplesError(NO_JSON)
        for name, number in _named(row[2:]):
            add_sample(series, device, name, at_ms, number)
    return series


def _named(items: list[Any]) -> Iterator[tuple[str, Any]]:
    for position, item in enumerate(items, 1):
        if isinstance(item, dict):
            for name, number in item.items():
                if cleaned := clean_name(name):
                    yield cleaned, number
        else:
            yield str(position), item


def unpacked_hex(written: str) -> str:
    """
    Return the text that the parameter `c` says was packed: zlib, as hex digits.

    :raises SamplesError: if it was not.
    """
    try:
        return unpacked(bytes.fromhex(written.strip())).decode()
    except ValueError:
        raise SamplesError(NO_JSON) from None


def unpacked(packed: bytes, *, bytes_max: int = 32 * 1024 * 1024) -> bytes:
    """
    Return what zlib packed.

    :raises SamplesError: if it is not zlib.
    :raises BodyTooLargeError: if there is more of it than bytes_max; no more is ever held.
    """
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, bytes_max + 1)
    except zlib.error:
        raise SamplesError(NO_JSON) from None
    if len(found) > bytes_max:
        raise BodyTooLargeError(bytes_max=bytes_max)
    if not unpacker.eof:
        raise SamplesError(NO_JSON)
    return found


def clean_name(written: str) -> str:
    """
    Return a node's or an input's name with the characters emoncms leaves in it.

    >>> clean_name("kitchen/<b>power</b>")
    'kitchenbpowerb'
    """
    return _NOT_IN_NAMES.sub("", written).strip()


def _reference(fields: Mapping[str, str], rows: list[Any], now: int) -> float:
    for name in ("sentat", "offset"):
        if name in fields:
            return now - _seconds(number_of(fields[name]))
    if "time" in fields:
        return _seconds(number_of(fields["time"]))
    return now - _seconds(rows[-1][0])


def _seconds(written: Any) -> float:
    number = number_of(written) if isinstance(written, str) else written
    try:
        seconds = float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise SamplesError(NO_JSON) from None
    if not -1e12 < seconds < 1e12:  # noqa: PLR2004 thirty thousand years either way; NaN is neither
        raise SamplesError(NO_JSON)
    return seconds


def _instant(written: Any, *, now: int, zone: ZoneInfo) -> int:
    """Return Unix seconds of a number or of any date text; now, where it is neither."""
    if isinstance(written, str):
        number: Any = number_of(written)
        if number is None:
            return _instant_of_text(written, now=now, zone=zone)
    else:
        number = written
    try:
        return int(number)
    except (TypeError, ValueError, OverflowError):
        return now


def _instant_of_text(written: str, *, now: int, zone: ZoneInfo) -> int:
    try:
        instant = datetime.fromisoformat(written.strip())
        return int((instant if instant.tzinfo else instant.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        return now


def _json(written: str) -> Any:
    try:
        return _decode(written)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise SamplesError(NO_JSON) from None
