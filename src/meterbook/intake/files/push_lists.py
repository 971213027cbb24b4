"""
What a DLMS push list says: the values a meter sends of itself, by OBIS code.

    Aidon            [[code, value, [scaler, unit]], ...]
    Kamstrup, Kaifa  [version, code, value, code, value, ...]     Kaifa SE begins with a code
    Kaifa NO         [value, value, ...]                          their number says which they are

Aidon says scaler and unit of each value. The others leave them to their documentation, so they
stand here; a value of another maker without a unit is no energy. A stamp mostly has no offset.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from meterbook.intake.files.axdr import Element, NoAxdrError, decoded

WATT_HOURS = 30
_LLC = (b"\xe6\xe7\x00", b"\xe6\xe6\x00")
_NOTIFICATION, _OCTETS = 0x0F, 0x09
_BARE = (0x01, 0x02)  # an array or a structure without the notification around it
_CIPHERED = {*range(0xC8, 0xE0), 0xE1, 0xE2}  # glo-, ded- and general ciphering
_CODE_BYTES, _CLOCK_BYTES = 6, 12
_SCALER_MAX = 12  # pico to tera
_NO_DEVIATION, _DEVIATION_MAX = -0x8000, 14 * 60
_CLOCK = "0.0.1.0.0"
_VERSIONS = ("1.0.0.2.129", "1.1.0.2.129")
_METERS = ("0.0.96.1.0", "1.1.0.0.5", "1.0.0.0.5", "0.0.42.0.0")
_SCALERS: dict[str, dict[str, tuple[int, int]]] = {
    # Kaifa and Nuri "KFM_001" (NVE 2016), and Kamstrup's "HAN-NVE interface description" 3.1.
    "KFM": {
        "1.7": (0, 27), "2.7": (0, 27), "3.7": (0, 29), "4.7": (0, 29),
        "31.7": (-3, 33), "51.7": (-3, 33), "71.7": (-3, 33),
        "32.7": (-1, 35), "52.7": (-1, 35), "72.7": (-1, 35),
        "1.8": (0, 30), "2.8": (0, 30), "3.8": (0, 32), "4.8": (0, 32),
    },
    "Kamstrup": {
        "1.7": (0, 27), "2.7": (0, 27), "3.7": (0, 29), "4.7": (0, 29),
        "1.8": (1, 30), "2.8": (1, 30), "3.8": (1, 32), "4.8": (1, 32),
    },
}  # fmt: skip
_KAIFA = (
    "1.1.0.2.129", "0.0.96.1.0", "0.0.96.1.7", "1.0.1.7.0", "1.0.2.7.0", "1.0.3.7.0", "1.0.4.7.0",
    "1.0.31.7.0", "1.0.51.7.0", "1.0.71.7.0", "1.0.32.7.0", "1.0.52.7.0", "1.0.72.7.0",
    _CLOCK, "1.0.1.8.0", "1.0.2.8.0", "1.0.3.8.0", "1.0.4.8.0",
)  # fmt: skip
_ONE_PHASE = (*_KAIFA[:8], _KAIFA[10])
_BY_PLACE = {
    len(codes): codes
    for codes in ((_KAIFA[3],), _ONE_PHASE, _KAIFA[:13], (*_ONE_PHASE, *_KAIFA[13:]), _KAIFA)
}


class EncryptedListError(ValueError):
    """A list that is encrypted: without the meter's key it says nothing."""


class ListClock(msgspec.Struct, frozen=True):
    """A meter's clock, as a list shows it."""

    local_s: int
    """Seconds since 1970-01-01 00:00 on the meter's clock."""
    offset_s: int | None
    """What that clock is ahead of UTC; None where the meter does not say."""


class Measured(msgspec.Struct, frozen=True):
    """One number of a list, in its unit."""

    amount: Decimal
    unit: int | None
    """Of IEC 62056-6-2: 30 is Wh, 27 W; None where neither list nor maker says it."""


class PushList(msgspec.Struct):
    """One list."""

    name: str = ""
    """The meter's own number."""
    clock: ListClock | None = None
    texts: dict[str, str] = {}
    """By OBIS code without its last group, as `0.0.96.1.7`."""
    numbers: dict[str, Measured] = {}


def push_list(payload: bytes) -> PushList:
    """
    Return the list that a frame carries.

    :param payload: with or without the link layer's header and the notification's.
    :raises EncryptedListError: if it cannot be read without a key.
    :raises NoAxdrError: if it is no list.
    """
    begin = payload[3:] if payload.startswith(_LLC) else payload
    clock, body = None, begin
    if begin[:1] == bytes([_NOTIFICATION]):
        clock, body = _opened(begin)
    if not body or body[0] not in _BARE:
        if body and body[0] in _CIPHERED:
            raise EncryptedListError("is encrypted, and there is no key for it here")
        raise NoAxdrError("is no push list")
    elements = decoded(body)
    found = PushList(clock=clock)
    for code, element, scale in _entries(elements if isinstance(elements, list) else []):
        _keep(found, code, element, scale)
    _scale_as_maker(found)
    found.name = next((found.texts[code] for code in _METERS if found.texts.get(code)), "")[:64]
    return found


def _opened(notification: bytes) -> tuple[ListClock | None, bytes]:
    rest = notification[5:]  # after the long invoke id
    if rest[:1] == bytes([_OCTETS]):  # not in the standard, yet sent by some
        rest = rest[1:]
    length = rest[0] if rest else 0
    return _clock(rest[1 : 1 + length]), rest[1 + length :]


def _entries(
    elements: Sequence[Element],
) -> Iterator[tuple[str, Element, tuple[int, int] | None]]:
    """Yield code, value, and scaler with unit where they are said, however they are nested."""
    if len(elements) in _BY_PLACE and not any(
        isinstance(one, list) or _code(one) for one in elements
    ):
        for code, element in zip(_BY_PLACE[len(elements)], elements, strict=True):
            yield code, element, None
        return
    at = 0
    while at < len(elements):
        element = elements[at]
        code = _code(element)
        if isinstance(element, list):
            yield from _entries(element)
        elif code and at + 1 < len(elements):
            scale = _scale(elements[at + 2]) if at + 2 < len(elements) else None
            yield code, elements[at + 1], scale
            at += 1 if scale is None else 2
        elif isinstance(element, str):
            yield _VERSIONS[0], element, None
        at += 1


def _code(element: Element) -> str:
    if not isinstance(element, bytes) or len(element) != _CODE_BYTES:
        return ""
    code = ".".join(map(str, element[:5]))
    # Kamstrup counts its clock and number in channel 1.
    return _CLOCK if code == "0.1.1.0.0" else code


def _scale(element: Element) -> tuple[int, int] | None:
    match element:
        case [int(scaler), int(unit)] if abs(scaler) <= _SCALER_MAX:
            return scaler, unit
    return None


def _keep(found: PushList, code: str, element: Element, scale: tuple[int, int] | None) -> None:
    if code == _CLOCK and isinstance(element, bytes):
        found.clock = _clock(element) or found.clock
    elif isinstance(element, bool) or element is None:
        return
    elif isinstance(element, int):
        scaler, unit = scale or (0, None)
        found.numbers[code] = Measured(Decimal(element).scaleb(scaler), unit)
    elif isinstance(element, str | bytes):
        text = element if isinstance(element, str) else element.decode("ascii", errors="replace")
        found.texts[code] = text.strip()


def _scale_as_maker(found: PushList) -> None:
    version = next((found.texts[code] for code in _VERSIONS if code in found.texts), "")
    scalers = next((some for maker, some in _SCALERS.items() if version.startswith(maker)), {})
    for code, measured in found.numbers.items():
        quantity = ".".join(code.split(".")[2:4])
        if measured.unit is None and quantity in scalers:
            scaler, unit = scalers[quantity]
            found.numbers[code] = Measured(measured.amount.scaleb(scaler), unit)


def _clock(octets: bytes) -> ListClock | None:
    """Return a clock of twelve bytes, or None where it shows no time (IEC 62056-6-2, 4.1.6.1)."""
    if len(octets) != _CLOCK_BYTES:
        return None
    year, (month, day, _, hour, minute, second) = int.from_bytes(octets[:2], "big"), octets[2:8]
    status = octets[11]
    if status != 0xFF and status & 1:  # noqa: PLR2004 not specified; bit 0: the time is invalid
        return None
    try:
        local = datetime(year, month, day, hour, minute, second % 0xFF, tzinfo=UTC)
    except ValueError:
        return None
    deviation = int.from_bytes(octets[9:11], "big", signed=True)
    # Minutes from the meter's clock to UTC: ahead of it is below 0.
    known = deviation != _NO_DEVIATION and abs(deviation) <= _DEVIATION_MAX
    return ListClock(int(local.timestamp()), -60 * deviation if known else None)
