"""
MSCONS: metered values between market partners in EDIFACT (Germany and others).

    LOC+172+<metering location>     PIA+5+1-1?:1.29.0:SRW     what is measured, as OBIS
    QTY+220:0.125                   220 measured, 67 substituted, 201 proposed
    DTM+163:201512010000?+01:303    DTM+164:...               from, to, with offset

Values are kWh unless the quantity names a unit. Segments are read one at a time. A counter stand
(one instant, no span) is left out.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO

import msgspec

from meterbook.domain.readings import Flow, Quality
from meterbook.domain.units import kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.parsed import (
    DAY_S,
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource

SEGMENT_BYTES_MAX = 10_000
CHUNK_BYTES = 1 << 16
_OBIS = re.compile(r"\d+-\d+:([12])\.(\d+)\.\d+")
_SPANS = {"9", "29", "10"}  # energy of an interval; 8 is a counter
_QUALITIES = {
    "220": Quality.VALID, "67": Quality.ESTIMATED_LIKE_DAY, "201": Quality.ESTIMATED_LIKE_DAY,
    "20": Quality.QUESTIONABLE, "79": Quality.VALID,
}  # fmt: skip
_EXPONENTS = {"": 0, "KWH": 0, "K3": 0, "WH": -3, "MWH": 3}
_STAMP = re.compile(r"(\d{12})([+-]\d{2})?")
_DAY_LENGTHS_S = {82_800, 86_400, 90_000}
_STARTS, _ENDS, _AT = "163", "164", "7"


class _Quantity(msgspec.Struct):
    number: int
    amount: str
    kind: str
    unit: str
    begins_at: int | None = None
    ends_at: int | None = None


def read_mscons(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts; lines are segments, counted from 1.

    :raises BrokenFileError: if it is no EDIFACT.
    """
    reader = _Reader(options)
    with source.opened() as stream:
        for number, segment in _segments(stream, source.name):
            reader.take(number, segment)
            if reader.builder.is_full:
                yield reader.builder.take()
    reader.finish()
    if not reader.has_message:
        raise BrokenFileError(source.name, "holds no MSCONS message")
    if reader.is_open:
        reader.builder.reject(reader.number, "must end with UNZ: the file is cut off")
    yield reader.builder.take()


class _Reader:
    def __init__(self, options: ParseOptions) -> None:
        self.builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
        self.has_message = False
        self.is_open = False
        self.number = 0
        self._place = ""
        self._flow: Flow | None = None
        self._label = ""
        self._quantity: _Quantity | None = None

    def take(self, number: int, fields: list[list[str]]) -> None:
        self.number = number
        tag = fields[0][0]
        if tag not in {"DTM", "STS"}:
            self.finish()
        match tag:
            case "UNB":
                self.is_open = True
            case "UNH":
                self.has_message |= _part(fields, 2, 0) == "MSCONS"
            case "UNZ":
                self.is_open = False
            case "LOC":
                self._place, self._flow = _part(fields, 2, 0), None
            case "LIN":
                self._flow, self._label = None, "values without OBIS"
            case "PIA":
                self._measure(_part(fields, 2, 0))
            case "QTY":
                self._quantity = _Quantity(
                    number, _part(fields, 1, 1), _part(fields, 1, 0), _part(fields, 1, 2).upper()
                )
            case "DTM" if self._quantity is not None:
                self._span(fields)

    def _measure(self, obis: str) -> None:
        match = _OBIS.fullmatch(obis)
        energy = match is not None and match[2] in _SPANS
        self._flow = Flow(1 if match and match[1] == "1" else 19) if energy else None
        self._label = f"values of {obis[:20]}"

    def _span(self, fields: list[list[str]]) -> None:
        instant = _instant(_part(fields, 1, 1))
        quantity = self._quantity
        if quantity is None:
            return
        if instant is None:
            self.builder.reject(self.number, "has a time that is not CCYYMMDDHHMM with offset")
            self._quantity = None
        elif _part(fields, 1, 0) == _STARTS:
            quantity.begins_at = instant
        elif _part(fields, 1, 0) == _ENDS:
            quantity.ends_at = instant

    def finish(self) -> None:
        """Add the quantity before, now that its times are known."""
        quantity, self._quantity = self._quantity, None
        if quantity is None:
            return
        if self._flow is None or quantity.unit not in _EXPONENTS:
            self.builder.leave_out(self._label, quantity.number)
            return
        if quantity.begins_at is None or quantity.ends_at is None:
            self.builder.leave_out("counter stands", quantity.number)
            return
        length_s = quantity.ends_at - quantity.begins_at
        length_s = DAY_S if length_s in _DAY_LENGTHS_S else length_s
        if length_s != DAY_S and (not 0 < length_s <= 3_600 or 3_600 % length_s):  # noqa: PLR2004
            self.builder.leave_out("values over no part of an hour and no day", quantity.number)
            return
        try:
            exponent = _EXPONENTS[quantity.unit]
            amount = quantity.amount.replace(",", ".")  # UNA may name the comma
            energy_wh = kwh_to_wh(Decimal(amount).scaleb(exponent))
        except (InvalidOperation, ValueError):
            self.builder.reject(quantity.number, "has a quantity that is no number")
            return
        self.builder.add(
            Series("mscons", self._place[:64], self._flow, length_s),
            starts_at=[quantity.begins_at],
            amount=[energy_wh],
            quality=_QUALITIES.get(quantity.kind, Quality.QUESTIONABLE),
            lines=quantity.number,
        )


def _part(fields: list[list[str]], element: int, component: int) -> str:
    try:
        return fields[element][component]
    except IndexError:
        return ""


def _instant(written: str) -> int | None:
    match = _STAMP.fullmatch(written)
    if match is None:
        return None
    try:
        local = datetime.strptime(match[1], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int((local - timedelta(hours=int(match[2] or 0))).timestamp())


def _segments(stream: BinaryIO, name: Path) -> Iterator[tuple[int, list[list[str]]]]:
    rest, number = "", 0
    first = True
    while chunk := stream.read(CHUNK_BYTES):
        rest += chunk.decode("latin-1")
        if first and rest.startswith("UNA"):
            if not rest.startswith("UNA:+") or rest[6:9] not in {"? '", "?*'"}:
                raise BrokenFileError(name, "has other separators than : + ? '")
            rest = rest[9:]
        first = False
        *whole, rest = _split(rest, "'")
        if len(rest) > SEGMENT_BYTES_MAX:
            raise BrokenFileError(name, "has a segment without end", line=number + 1)
        for segment in whole:
            number += 1
            yield number, [_split_plain(element) for element in _split(segment.strip(), "+")]
    if rest.strip():
        raise BrokenFileError(name, "ends within a segment: it is cut off", line=number + 1)


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that no release character stands before; `??` is a question mark."""
    if "?" not in text:
        return text.split(mark)
    pieces, begin = [], 0
    for match in re.finditer(rf"\?.|{re.escape(mark)}", text, re.DOTALL):
        if match[0] == mark:
            pieces.append(text[begin : match.start()])
            begin = match.end()
    return [*pieces, text[begin:]]


def _split_plain(element: str) -> list[str]:
    return [re.sub(r"\?(.)", r"\1", part, flags=re.DOTALL) for part in _split(element, ":")]


def is_mscons(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as EDIFACT and says MSCONS."""
    return head.lstrip().startswith((b"UNA", b"UNB")) and b"MSCONS" in head
