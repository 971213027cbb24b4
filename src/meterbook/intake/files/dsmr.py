r"""
DSMR P1 telegrams (Netherlands, Belgium, Luxembourg): one, or a stream of many.

    /ISk5\2MT382-1000
    0-0:1.0.0(170102192002W)        local time, W winter or S summer: no hour is there twice
    0-0:96.1.1(4B38...)             the meter, in hex
    1-0:1.8.1(000004.426*kWh)       dial values by tariff; 1.8 taken, 2.8 fed in
    !6EEE                           CRC-16 of everything from / to !

Where there is no total (1.8.0), the tariffs are added up: that Belgium numbers day and night the
other way round changes nothing. Dial values become energy where there are several. A telegram
whose CRC is wrong is rejected, one without CRC (before version 4) is taken at its word.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from meterbook.domain.readings import Flow
from meterbook.domain.units import kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.dial_samples import SampleKeeper, held
from meterbook.intake.files.parsed import (
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource

LINE_BYTES_MAX = 5_000
TELEGRAM_BYTES_MAX = 64_000
_OBJECT = re.compile(rb"(\d+-\d+:\d+\.\d+\.\d+)\(([^)]*)\)")
_DIALS = {Flow.IMPORT: b"1-0:1.8.%d", Flow.EXPORT: b"1-0:2.8.%d"}
_TARIFFS = range(1, 5)
_NAMES = (b"0-0:96.1.1", b"0-0:96.1.0", b"0-0:42.0.0")
_STAMP = b"0-0:1.0.0"
_DIAL = re.compile(rb"(\d{1,9}(?:\.\d{1,6})?)\*(k?)Wh", re.IGNORECASE)
_OFFSETS = {"W": timedelta(hours=1), "S": timedelta(hours=2)}


class _Telegram(msgspec.Struct):
    line: int
    body: bytes
    crc: bytes


def read_dsmr(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file as one part.

    :raises BrokenFileError: if it holds no telegram.
    """
    builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
    samples = SampleKeeper(options.now)
    untimed: dict[Series, int] = {}
    count = 0
    for telegram in _telegrams(source, builder):
        count += 1
        if telegram.crc and int(telegram.crc, 16) not in _sums(telegram.body):
            builder.reject(telegram.line, "has a telegram whose CRC does not fit")
            continue
        _take(builder, samples, telegram, untimed)
    if not count:
        raise BrokenFileError(source.name, "holds no whole telegram")
    for series, counter_wh in untimed.items():
        builder.note(held(series, counter_wh, "without a time"))
    samples.flush(builder)
    yield builder.take()


def _telegrams(source: FileSource, builder: PartBuilder) -> Iterator[_Telegram]:
    begun: _Telegram | None = None
    with source.opened() as stream:
        line = 0
        while raw := stream.readline(LINE_BYTES_MAX):
            line += 1
            if raw.startswith(b"/"):
                if begun is not None:
                    builder.reject(begun.line, "has a telegram that is cut off")
                begun = _Telegram(line, raw, b"")
            elif begun is not None and raw.startswith(b"!"):
                crc = raw[1:].strip()
                if crc and not re.fullmatch(rb"[0-9A-Fa-f]{4}", crc):
                    builder.reject(line, "has a CRC that is no four hex digits")
                else:
                    yield _Telegram(begun.line, begun.body + b"!", crc)
                begun = None
            elif begun is not None:
                begun.body += raw
                if len(begun.body) > TELEGRAM_BYTES_MAX:
                    raise BrokenFileError(source.name, "has a telegram without end", line=line)
        if begun is not None:
            builder.reject(begun.line, "has a telegram that is cut off")


def _take(
    builder: PartBuilder, samples: SampleKeeper, telegram: _Telegram, untimed: dict[Series, int]
) -> None:
    found = dict(_OBJECT.findall(telegram.body))
    name = _name(next((found[key] for key in _NAMES if found.get(key)), b""))
    instant = _instant(found.get(_STAMP, b"").decode("latin-1"))
    for flow, code in _DIALS.items():
        counter_wh = _counter_wh(found, code)
        series = Series("dsmr", name, flow)
        if counter_wh is None:
            continue
        if instant is None:
            builder.leave_out("dial readings of telegrams without time", telegram.line)
            untimed[series] = counter_wh
        else:
            samples.add(series, (instant, counter_wh, telegram.line))
    others = sum(text.endswith(b"*m3") for text in found.values())
    builder.leave_out("gas and water", telegram.line, count=others)


def _counter_wh(found: dict[bytes, bytes], code: bytes) -> int | None:
    """Return the total of a flow, or the sum of its tariffs where there is none beside them."""
    dials = {
        rate: kwh_to_wh(Decimal(match[1].decode()).scaleb(0 if match[2] else -3))
        for rate in (0, *_TARIFFS)
        if (match := _DIAL.fullmatch(found.get(code % rate, b"")))
    }
    return dials.get(0, sum(dials.values())) if dials else None


def _name(written: bytes) -> str:
    text = written.decode("latin-1")
    try:
        plain = bytes.fromhex(text).decode("ascii")
    except ValueError:
        return text[:64]
    return plain[:64] if plain.isalnum() else text[:64]


def _instant(written: str) -> int | None:
    offset = _OFFSETS.get(written[-1:].upper())
    if offset is None:
        return None
    try:
        local = datetime.strptime(written[:-1], "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int((local - offset).timestamp())


def _sums(body: bytes) -> set[int]:
    """Return the CRC of the body as it is, and with the line ends a telegram is sent with."""
    sent = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return {crc16(body), crc16(sent)}


def crc16(body: bytes) -> int:
    """
    Return CRC-16/ARC: polynomial x16+x15+x2+1, least significant bit first (P1 Companion 5.0).

    >>> hex(crc16(b"123456789"))
    '0xbb3d'
    """
    crc = 0
    for byte in body:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]


def is_dsmr(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as a telegram does, or has one near its beginning."""
    return bool(re.search(rb"(?:^|\n)/[A-Za-z]{3}[0-9]", head)) and b"(" in head
