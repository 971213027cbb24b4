"""
The seed's JSON files: one object whose keys are meter IDs.

Files that Meterbook wrote hold a meter a line and are read line by line, so that memory does not
grow with them; any other print of the same JSON is read whole, up to a limit. Two keys alike are
an error, for the second would silently take the first one's place. A comma after the last item,
as in the seed's own print, is let pass. What a file says is never repeated in an error.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.domain.units import kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError

WHOLE_BYTES_MAX = 256 << 20
LINE_BYTES_MAX = 16 << 20  # one meter with the totals of a thousand years
_METER_LINE = re.compile(rb'\s*"[0-9-]{1,32}"\s*:\s*\{.*\}\s*,?\s*', re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
Item = TypeVar("Item")


class _DoubleKeyError(ValueError):
    """Two keys alike in one object."""


class MeterObject(msgspec.Struct, frozen=True):
    """What a file says of one meter."""

    path: Path
    meter_id: int
    fields: dict[str, Any]
    """Numbers are Decimal."""
    text: str
    """The text it stands in, to find the place of what is wrong."""
    first_line: int
    """Line of the file on which that text begins."""
    key: str

    def broken(self, reason: str, *keys: str) -> BrokenFileError:
        """Return the error for what stands under these keys."""
        position = 0
        for key in (self.key, *keys):
            found = self.text.find(json.dumps(key, ensure_ascii=False), position)
            position = max(found, position)
        line = self.text.count("\n", 0, position)
        column = position - self.text.rfind("\n", 0, position)
        return BrokenFileError(self.path, reason, line=self.first_line + line, column=column)

    def energy_wh(self, written: object, *keys: str, kwh_max: Decimal) -> int:
        """
        Return an energy in Wh.

        :raises BrokenFileError: if it is no energy.
        """
        if not isinstance(written, Decimal):
            raise self.broken("is not an energy in kWh", *keys)
        if not 0 <= written <= kwh_max:
            raise self.broken(f"is not between 0 and {kwh_max} kWh", *keys)
        return kwh_to_wh(written)


def read_by_meter(path: Path) -> Iterator[MeterObject]:
    """
    Yield the meters of a file in its order.

    :raises BrokenFileError: if it is not JSON of that form.
    """
    known: set[int] = set()
    for text, first_line, pairs in _objects(path):
        for key, fields in pairs.items():
            number = _number(path, key, text, first_line)
            found = MeterObject(path, number, fields, text, first_line, key)
            if not isinstance(fields, dict):
                raise found.broken("must be an object")
            if number in known:
                raise found.broken("the same meter is there twice")
            known.add(number)
            yield found


def in_portions(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of at most so many."""
    portion: list[Item] = []
    for item in items:
        portion.append(item)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion


def _objects(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    if _has_a_meter_a_line(path):
        yield from _line_by_line(path)
        return
    if path.stat().st_size > WHOLE_BYTES_MAX:
        limit = WHOLE_BYTES_MAX >> 20
        raise BrokenFileError(path, f"is larger than {limit} MiB and has not a meter a line")
    text = _decoded(path, path.read_bytes(), line=1)
    yield text, 1, _parsed(path, text, line=1, lenient=True)


def _has_a_meter_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(LINE_BYTES_MAX)
        second = file.readline(LINE_BYTES_MAX)
    return first.strip() == b"{" and bool(_METER_LINE.fullmatch(second))


def _line_by_line(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    with path.open("rb") as file:
        file.readline(LINE_BYTES_MAX)
        line, more = 2, True
        while more:
            text = _decoded(path, file.readline(LINE_BYTES_MAX), line=line).strip()
            if text in {"}", ""}:
                raise BrokenFileError(path, "must go on after the comma, or end", line=line)
            more = text.endswith(",")
            text = "{" + text.removesuffix(",") + "}"
            yield text, line, _parsed(path, text, line=line, lenient=False)
            line += 1
        if file.read(LINE_BYTES_MAX).strip() != b"}":
            raise BrokenFileError(path, "must end with }", line=line)


def _decoded(path: Path, raw: bytes, *, line: int) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise BrokenFileError(path, "is not UTF-8 text", line=line) from None


def _parsed(path: Path, text: str, *, line: int, lenient: bool) -> dict[str, Any]:
    try:
        try:
            parsed = _loads(text)
        except json.JSONDecodeError:
            if not lenient:
                raise
            # A blank in the comma's place keeps every later column.
            parsed = _loads(_STRING_OR_LAST_COMMA.sub(lambda m: " " if m[0] == "," else m[0], text))
    except json.JSONDecodeError as error:
        raise BrokenFileError(
            path, f"is not JSON: {error.msg}", line=line + error.lineno - 1, column=error.colno
        ) from None
    except RecursionError:
        raise BrokenFileError(path, "is nested too deeply", line=line) from None
    except ValueError as error:
        raise BrokenFileError(path, str(error), line=line) from None
    if not isinstance(parsed, dict):
        raise BrokenFileError(path, "must be one object with meter IDs as keys", line=line)
    return parsed


def _loads(text: str) -> Any:
    return json.loads(
        text,
        parse_float=Decimal,
        parse_int=Decimal,
        parse_constant=_refuse_constant,
        object_pairs_hook=_without_double_keys,
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) != len(pairs):
        raise _DoubleKeyError("has the same key twice in one object")
    return known


def _number(path: Path, key: str, text: str, first_line: int) -> int:
    try:
        return meter_id(key)
    except MeterIdError as error:
        place = MeterObject(path, 0, {}, text, first_line, key)
        raise place.broken(f"a meter ID {error}") from None
