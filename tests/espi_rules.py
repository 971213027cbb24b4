"""
What NAESB's schema asks of a Green Button feed, for the elements that hold readings.

The schema itself (espi.xsd, version 4.0 of 13 December 2023, and RFC 4287 for Atom) is in no
package, so its rules are written down here: which children an element may have, in which order,
which of them it must have, and what a number may be. Every element may begin with `extension`
and `batchItemInfo`; whatever is not known here is an error.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import msgspec

ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
UINT16, UINT32 = (0, 2**16 - 1), (0, 2**32 - 1)
INT48, INT64, INT16 = (-(2**47), 2**47), (-(2**63), 2**63 - 1), (-(2**15), 2**15 - 1)
_BEGIN = ("extension*", "batchItemInfo")
_UUID = re.compile(r"urn:uuid:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")


class Rule(msgspec.Struct):
    """Children in their order: `!` it must be there, `*` it may be there often."""

    children: tuple[str, ...] = ()
    number: tuple[int, int] | None = None


RULES = {
    "UsagePoint": Rule((*_BEGIN, "roleFlags", "ServiceCategory", "status", "serviceDeliveryPoint")),
    "ServiceCategory": Rule(("extension*", "kind!")),
    "MeterReading": Rule(_BEGIN),
    "ReadingType": Rule((
        *_BEGIN, "accumulationBehaviour", "commodity", "consumptionTier", "currency",
        "dataQualifier", "defaultQuality", "flowDirection", "intervalLength", "kind", "phase",
        "powerOfTenMultiplier", "timeAttribute", "tou", "uom", "cpp", "interharmonic",
        "measuringPeriod", "argument",
    )),
    "IntervalBlock": Rule((*_BEGIN, "interval", "IntervalReading*")),
    "IntervalReading": Rule((
        "extension*", "cost", "currency", "ReadingQuality*", "timePeriod", "value",
        "consumptionTier", "tou", "cpp",
    )),
    "ReadingQuality": Rule(("extension*", "quality!")),
    "interval": Rule(("extension*", "duration!", "start!")),
    "timePeriod": Rule(("extension*", "duration!", "start!")),
    "duration": Rule(number=UINT32),
    "start": Rule(number=INT64),
    "value": Rule(number=INT48),
    "cost": Rule(number=INT48),
    "quality": Rule(number=UINT16),
    "kind": Rule(number=UINT16),
    "intervalLength": Rule(number=UINT32),
    "powerOfTenMultiplier": Rule(number=INT16),
    "consumptionTier": Rule(number=INT16),
    "tou": Rule(number=INT16),
    "cpp": Rule(number=INT16),
    **dict.fromkeys(
        ("accumulationBehaviour", "commodity", "currency", "dataQualifier", "defaultQuality",
         "flowDirection", "phase", "timeAttribute", "uom"),
        Rule(number=UINT16),
    ),
}  # fmt: skip


def broken_rules(feed: Element) -> list[str]:
    """Return what in a feed is against the schema, or leads nowhere."""
    return [*_atom(feed), *(fault for entry in _entries(feed) for fault in _entry(entry)),
            *_links(feed)]  # fmt: skip


def _entries(feed: Element) -> list[Element]:
    return feed.findall(f"{ATOM}entry")


def _atom(element: Element) -> Iterator[str]:
    for name in ("id", "title", "updated"):
        if len(element.findall(ATOM + name)) != 1:
            yield f"{element.tag}: not one {name}"
    if not _UUID.fullmatch(element.findtext(f"{ATOM}id", "")):
        yield f"{element.tag}: id is no UUID"


def _entry(entry: Element) -> Iterator[str]:
    yield from _atom(entry)
    contents = entry.findall(f"{ATOM}content")
    if len(contents) != 1 or len(contents[0]) != 1:
        yield "an entry has not one content with one resource"
        return
    yield from _resource(contents[0][0])


def _resource(element: Element) -> Iterator[str]:
    name = element.tag.removeprefix(ESPI)
    rule = RULES.get(name)
    if rule is None:
        yield f"{name}: not known"
    elif rule.number is not None:
        text = element.text or ""
        if len(element) or not re.fullmatch(r"-?[0-9]+", text):
            yield f"{name}: no number"
        elif not rule.number[0] <= int(text) <= rule.number[1]:
            yield f"{name}: {text} is out of range"
    else:
        yield from _children(name, element, rule.children)


def _children(name: str, element: Element, allowed: tuple[str, ...]) -> Iterator[str]:
    pattern = "".join(
        f"(?:{child.rstrip('!*')} )" + {"!": "", "*": "*"}.get(child[-1], "?") for child in allowed
    )
    children = "".join(f"{child.tag.removeprefix(ESPI)} " for child in element)
    if not re.fullmatch(pattern, children):
        yield f"{name}: children {children[:200]}"
    for child in element:
        if child.tag != f"{ESPI}extension":
            yield from _resource(child)


def _links(feed: Element) -> Iterator[str]:
    kinds: dict[str, str] = {}
    related: set[str] = set()
    for entry in _entries(feed):
        links = {link.get("rel"): link.get("href", "") for link in entry.findall(f"{ATOM}link")}
        if not {"self", "up"} <= links.keys():
            yield "an entry has no self or up link"
        resource = entry.find(f"{ATOM}content/*")
        kinds[links.get("self", "")] = "" if resource is None else resource.tag.removeprefix(ESPI)
        related |= {
            link.get("href", "") for link in entry.findall(f"{ATOM}link")
            if link.get("rel") == "related"
        }  # fmt: skip
    for address, kind in kinds.items():
        if kind == "ReadingType" and address not in related:
            yield f"no meter reading is of {address}"
        above = address.rpartition("/")[0]
        if kind in {"MeterReading", "IntervalBlock"} and above not in related:
            yield f"nothing leads to {address}"
