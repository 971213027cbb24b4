r"""
InfluxDB's line protocol: `measurement,tag=text field=1.5,other=2i 1700000000000000000`.

All lines are looked at before any is taken; what is wrong with each is said with its number. What
is well-formed but no number that can be kept (texts, floats beyond 9e12) is passed over: it is no
error of the sender's.

Most lines have no escape and no quote. They are split; only the others are read letter by letter.
"""

import re
from collections.abc import Iterator
from math import isfinite

import msgspec

from meterbook.inputs.deliveries import (
    SamplesError,
    Series,
    millionths,
    require_names,
    require_time,
)

PRECISION_NS = {
    "n": 1, "ns": 1, "u": 1_000, "us": 1_000, "µ": 1_000, "ms": 1_000_000,
    "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
}  # fmt: skip
ERRORS_MAX = 100  # lines named in one answer
_SHOWN_CHARACTERS = 200
_NS_IN_MS = 1_000_000
_TRUE = frozenset({"t", "T", "true", "True", "TRUE"})
_FALSE = frozenset({"f", "F", "false", "False", "FALSE"})
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}[iu]", re.ASCII)
_STAMP = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


class LineError(msgspec.Struct, frozen=True):
    """One line that cannot be read."""

    number: int
    text: str
    reason: str

    def __str__(self) -> str:
        shown = self.text[:_SHOWN_CHARACTERS]
        return f"unable to parse '{shown}': {self.reason} (line {self.number})"


class LinesError(SamplesError):
    """Lines that cannot be read: nothing of the body is taken."""

    def __init__(self, errors: list[LineError]) -> None:
        super().__init__("\n".join(map(str, errors[:ERRORS_MAX])))
        self.errors = errors


class _LineWrongError(ValueError):
    """What is wrong with the line at hand."""


def line_samples(body: bytes, *, database: str, unit_ns: int, now_ms: int) -> Series:
    """
    Return what the lines brought; the device is the database and the series, the input the field.

    :param unit_ns: of the stamps, nanoseconds.
    :raises LinesError: naming each line that is wrong.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        number = body.count(b"\n", 0, error.start) + 1
        raise LinesError([LineError(number, "", "not UTF-8")]) from None
    series: Series = {}
    devices: dict[str, str] = {}
    errors: list[LineError] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped[0] == "#":
            continue
        try:
            head, fields, stamp = _parts(stripped)
            device = devices.get(head)
            if device is None:
                device = devices[head] = f"{database}: {_series_name(head)}"
            at_ms = now_ms if stamp is None else stamp * unit_ns // _NS_IN_MS
            require_time(at_ms, now_ms=now_ms)
            for name, amount in fields:
                kept = series.get((device, name))
                if kept is None:
                    require_names(device, name)
                    kept = series[device, name] = {}
                kept[at_ms] = amount
        except (_LineWrongError, SamplesError) as error:
            errors.append(LineError(number, stripped, str(error)))
            if len(errors) >= ERRORS_MAX:
                break
    if errors:
        raise LinesError(errors)
    return series


def _parts(line: str) -> tuple[str, list[tuple[str, int]], int | None]:
    """Return the series as written, the fields that can be kept, and the stamp."""
    if "\\" in line or '"' in line:
        return _parts_with_care(line)
    parts = line.split(" ")
    if len(parts) not in {2, 3}:
        parts = line.split()
    if len(parts) == 2:  # noqa: PLR2004 series and fields
        return parts[0], _fields(field.split("=") for field in parts[1].split(",")), None
    if len(parts) == 3:  # noqa: PLR2004 and a stamp
        fields = _fields(field.split("=") for field in parts[1].split(","))
        return parts[0], fields, _stamp(parts[2])
    raise _LineWrongError("missing fields" if len(parts) == 1 else "bad timestamp")


def _fields(pairs: Iterator[list[str]]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for pair in pairs:
        if len(pair) != 2:  # noqa: PLR2004 name and number
            raise _LineWrongError(
                "missing field value" if len(pair) == 1 else "invalid field format"
            )
        name, written = pair
        if not name:
            raise _LineWrongError("missing field key")
        amount = _amount(written)
        if amount is not None:
            found.append((name, amount))
    return found


def _amount(written: str) -> int | None:
    """Return a field's number in millionths; None for what is no number, or too large a one."""
    try:
        number = float(written)
    except ValueError:
        return _amount_of_another_kind(written)
    if not isfinite(number):
        if _FLOAT.fullmatch(written):  # 1e999
            return None
        raise _LineWrongError("invalid number")
    if "_" in written or not _FLOAT.fullmatch(written):
        raise _LineWrongError("invalid number")
    return millionths(number)


def _amount_of_another_kind(written: str) -> int | None:
    if not written:
        raise _LineWrongError("missing field value")
    if _WHOLE.fullmatch(written):
        number = int(written[:-1])
        low, high = (-(2**63), 2**63) if written[-1] == "i" else (0, 2**64)
        if not low <= number < high:
            raise _LineWrongError("value out of range")
        return millionths(number)
    if written in _TRUE:
        return millionths(1)
    if written in _FALSE:
        return 0
    if written[0] == '"':
        if len(written) < 2 or written[-1] != '"':  # noqa: PLR2004 two quotes
            raise _LineWrongError("unbalanced quotes")
        return None
    raise _LineWrongError("invalid boolean" if written[0] in "tTfF" else "invalid number")


def _stamp(written: str) -> int:
    if not _STAMP.fullmatch(written):
        raise _LineWrongError("bad timestamp")
    return int(written)


def _parts_with_care(line: str) -> tuple[str, list[tuple[str, int]], int | None]:
    head, rest = _split_once(line, " ", quotes=False)
    body, stamp = _split_once(rest.lstrip(" "), " ", quotes=True)
    if not body:
        raise _LineWrongError("missing fields")
    pairs: list[list[str]] = []
    while body:
        name, rest = _split_once(body, "=", quotes=False)
        if len(name) == len(body):
            raise _LineWrongError("missing field value")
        written, body = _split_once(rest, ",", quotes=True)
        pairs.append([_unescaped(name), written])
        if not body and rest.endswith(",") and len(written) < len(rest):
            raise _LineWrongError("missing field key")
    stamp = stamp.strip(" ")
    return head, _fields(iter(pairs)), _stamp(stamp) if stamp else None


def _split_once(text: str, mark: str, *, quotes: bool) -> tuple[str, str]:
    """
    Return what stands before and after the first mark that is not escaped.

    :param quotes: whether a mark in quotes does not count.
    """
    quoted = False
    position = 0
    while position < len(text):
        letter = text[position]
        if letter == "\\" and position + 1 < len(text):
            position += 2
            continue
        if letter == '"' and quotes:
            quoted = not quoted
        elif letter == mark and not quoted:
            return text[:position], text[position + 1 :]
        position += 1
    if quoted:
        raise _LineWrongError("unbalanced quotes")
    return text, ""


def _series_name(head: str) -> str:
    """Return measurement and tags in one order, however the sender ordered them."""
    measurement, rest = _split_once(head, ",", quotes=False)
    if not measurement:
        raise _LineWrongError("missing measurement")
    tags: dict[str, str] = {}
    is_more = len(measurement) < len(head)
    while is_more:
        tag, after = _split_once(rest, ",", quotes=False)
        is_more, rest = len(tag) < len(rest), after
        name, written = _split_once(tag, "=", quotes=False)
        if not name:
            raise _LineWrongError("missing tag key")
        if not written:
            raise _LineWrongError("missing tag value")
        if len(_split_once(written, "=", quotes=False)[0]) < len(written):
            raise _LineWrongError("invalid tag format")
        if name in tags:
            raise _LineWrongError("duplicate tags")
        tags[name] = written
    parts = [measurement, *(f"{name}={tags[name]}" for name in sorted(tags))]
    return ",".join(map(_unescaped, parts))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text) if "\\" in text else text
