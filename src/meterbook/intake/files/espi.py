"""
Green Button: ESPI XML (NAESB REQ.21), an Atom feed of usage points and interval blocks.

    UsagePoint ◄─ MeterReading ─► ReadingType      unit, flow, power of ten
                      ▲
                 IntervalBlock: IntervalReading*   start (epoch seconds), duration, value, quality

The pieces are linked by addresses and may come in any order, so the file is read twice: first what
describes, then the readings, one entry in memory at a time. A document type definition is refused:
no entity is ever expanded. Quality numbers are ours; a forecast (12) is no reading. In our own
exports the id of a usage point is made of our number: it is that meter.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from meterbook.domain.local_days import is_zone
from meterbook.domain.own_names import ESPI_ZONE_SCHEME, meter_of_usage_point
from meterbook.domain.readings import Flow, Quality
from meterbook.domain.units import kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.espi_entries import Entry, Node, entries
from meterbook.intake.files.parsed import (
    DAY_S,
    OWN,
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource

WATT_HOURS = 72
ForeignName = tuple[str, str]
_ELECTRICITY = {"0", "1"}  # secondary metered, primary metered
_DELTA = {"4", "0", ""}
_DAY_LENGTHS_S = {82_800, 86_400, 90_000}
_FORECAST = 12
NAME_CHARACTERS_MAX = 200
_ENTRIES_MAX = 100_000
_QUALITIES = {
    15: Quality.DERIVED,  # normalised for weather
    16: Quality.QUESTIONABLE,  # other
    17: Quality.VALID,  # validated
    18: Quality.VALID,  # verified
    19: Quality.VALID,  # of revenue quality
} | {int(quality): quality for quality in Quality}
_UNIT_EXPONENTS = {"wh": 0, "kwh": 3, "mwh": 6}


class _Kind(msgspec.Struct, frozen=True):
    """A ReadingType."""

    flow: Flow | None
    exponent: int
    """Of ten: the value in Wh."""
    quality: Quality
    label: str
    """Why it is left out; empty: it is active energy."""


class _Feed(msgspec.Struct):
    """What describes the readings, by address."""

    kinds: dict[str, _Kind] = {}
    points: dict[str, ForeignName] = {}
    """Address of a usage point to its scheme and name."""
    zones: dict[ForeignName, str] = {}
    """Usage point to the IANA zone of its days: in our own exports."""
    kind_of: dict[str, str] = {}
    """Address of a meter reading to that of its reading type."""


def read_espi(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts.

    :raises BrokenFileError: if it is no XML, or does not say what its values are.
    """
    feed = _described(source)
    builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
    with source.opened() as stream:
        for entry in entries(stream, source.name):
            for block in entry.contents("IntervalBlock"):
                _add_block(builder, entry, block, feed, options, source.name)
                if builder.is_full:
                    yield builder.take()
    yield builder.take()


def _described(source: FileSource) -> _Feed:
    feed = _Feed()
    with source.opened() as stream:
        for count, entry in enumerate(entries(stream, source.name)):
            if count > _ENTRIES_MAX:
                raise BrokenFileError(source.name, "has too many entries", line=entry.line)
            for node in entry.contents("ReadingType"):
                feed.kinds[entry.address] = _kind(node, source.name)
            for _ in entry.contents("UsagePoint"):
                point = _point(entry)
                feed.points[entry.address] = point
                zone = entry.categories.get(ESPI_ZONE_SCHEME, "")
                if is_zone(zone):
                    feed.zones[point] = zone
            for _ in entry.contents("MeterReading"):
                types = [link for link in entry.related if "/ReadingType" in link]
                if types:
                    feed.kind_of[entry.address] = types[0]
    return feed


def _kind(node: Node, name: Path) -> _Kind:
    flow = {"1": Flow.IMPORT, "19": Flow.EXPORT}.get(node.text("flowDirection", "1"))
    quality = node.whole("defaultQuality", Quality.RAW, name)
    label = ""
    if node.text("commodity", "1") not in _ELECTRICITY:
        label = "readings of another commodity than electricity"
    elif node.whole("uom", WATT_HOURS, name) != WATT_HOURS:
        label = f"readings of unit {node.text('uom')} (72 is Wh)"
    elif node.text("accumulationBehaviour", "4") not in _DELTA:
        label = f"readings of accumulation {node.text('accumulationBehaviour')} (4 is interval)"
    elif flow is None:
        label = f"readings of flow {node.text('flowDirection')} (1 and 19 are import and export)"
    exponent = node.whole("powerOfTenMultiplier", 0, name)
    if not -12 <= exponent <= 12:  # noqa: PLR2004 pico to tera
        raise BrokenFileError(name, "has a power of ten beyond reason", line=node.line)
    return _Kind(flow, exponent, _QUALITIES.get(quality, Quality.QUESTIONABLE), label)


def _add_block(
    builder: PartBuilder,
    entry: Entry,
    block: Node,
    feed: _Feed,
    options: ParseOptions,
    name: Path,
) -> None:
    kind = _kind_of(entry, feed, options)
    if kind is None:
        raise BrokenFileError(
            name,
            "has readings whose reading type is not in the file: say the unit, such as Wh",
            line=block.line,
        )
    point = _point_of(entry, feed)
    readings: dict[Series, list[tuple[int, int, int, int]]] = {}
    for node in block.children("IntervalReading"):
        taken = _reading(builder, node, kind, name)
        if taken is not None:
            length_s, reading = taken
            series = Series(*point, kind.flow or Flow.IMPORT, length_s)
            readings.setdefault(series, []).append(reading)
    for series, rows in readings.items():
        starts, amounts, qualities, lines = zip(*rows, strict=True)
        builder.add(series, starts_at=starts, amount=amounts, quality=qualities, lines=lines)
        if point in feed.zones:
            builder.place(*point, feed.zones[point])


def _reading(
    builder: PartBuilder, node: Node, kind: _Kind, name: Path
) -> tuple[int, tuple[int, int, int, int]] | None:
    if kind.label:
        builder.leave_out(kind.label, node.line)
        return None
    period = next(iter(node.children("timePeriod")), None)
    if period is None or not period.text("start") or not node.text("value"):
        builder.reject(node.line, "has no start or no value")
        return None
    start = period.whole("start", 0, name)
    duration = period.whole("duration", 0, name)
    length_s = DAY_S if duration in _DAY_LENGTHS_S else duration
    if length_s != DAY_S and (not 0 < length_s <= 3_600 or 3_600 % length_s):  # noqa: PLR2004
        builder.leave_out(f"readings over {duration} s: no part of an hour and no day", node.line)
        return None
    quality = _quality(node, kind, name)
    if quality == _FORECAST:
        builder.leave_out("forecasts", node.line)
        return None
    written = Decimal(node.whole("value", 0, name)).scaleb(kind.exponent - 3)
    return length_s, (start, kwh_to_wh(written), quality, node.line)


def _quality(node: Node, kind: _Kind, name: Path) -> int:
    said = {child.whole("quality", Quality.RAW, name) for child in node.children("ReadingQuality")}
    if not said:
        return int(kind.quality)
    if _FORECAST in said:
        return _FORECAST
    ours = {_QUALITIES.get(number, Quality.QUESTIONABLE) for number in said}
    return int(ours.pop() if len(ours) == 1 else Quality.MIXED)


def _kind_of(entry: Entry, feed: _Feed, options: ParseOptions) -> _Kind | None:
    reading = entry.up.removesuffix("/IntervalBlock")
    address = feed.kind_of.get(reading)
    if address in feed.kinds:
        return feed.kinds[address]
    if len(feed.kinds) == 1 and address is None:
        return next(iter(feed.kinds.values()))
    if options.unit in _UNIT_EXPONENTS:
        return _Kind(Flow.IMPORT, _UNIT_EXPONENTS[options.unit], Quality.RAW, "")
    return None


def _point_of(entry: Entry, feed: _Feed) -> ForeignName:
    address = entry.up.partition("/MeterReading")[0]
    if address in feed.points:
        return feed.points[address]
    if len(feed.points) == 1:
        return next(iter(feed.points.values()))
    return ("espi", _name(address) if "UsagePoint/" in address else "")


def _point(entry: Entry) -> ForeignName:
    """Return the scheme and name of a usage point; our own number only if the id proves it."""
    own = meter_of_usage_point(entry.id, address=entry.address)
    return ("espi", _name(entry.address)) if own is None else (OWN, str(own))


def _name(address: str) -> str:
    """Return what tells this usage point from those of other utilities: its whole address."""
    bare = address.partition("://")[2] or address
    return re.sub("/{2,}", "/", bare)[-NAME_CHARACTERS_MAX:]


def is_espi(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as a feed of the ESPI namespace does."""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and (
        b"naesb.org/espi" in head or b"www.w3.org/2005/Atom" in head
    )
