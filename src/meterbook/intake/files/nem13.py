"""
NEM13: accumulated (basic) meter reads of the Australian market: one quantity for some months.

    250,NMI,...,direction,previous read,its time,quality,...,current read,its time,quality,...,kWh

Meterbook keeps intervals, so the quantity is spread evenly over the half-hours between the two
reads, each marked as interpolated; they add up to it to the last Wh. Times are taken to the
nearest half hour. The quantity counts, not the difference of the dials: it holds the multiplier.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from meterbook.domain.intervals import interval_energy_wh
from meterbook.domain.readings import HALF_HOUR_S, Flow, Quality
from meterbook.domain.units import kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.nem12 import MARKET_ZONE
from meterbook.intake.files.parsed import (
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource
from meterbook.intake.files.text_lines import text_lines

_FLOWS = {"E": Flow.IMPORT, "I": Flow.EXPORT}  # seen from the grid: out of it, into it
_EXPONENTS = {"WH": -3, "KWH": 0, "MWH": 3}
_FIELDS_MIN = 20
_DAYS_MAX = 800
_FIRST_SUFFIX = "11"


def read_nem13(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts.

    :raises BrokenFileError: if it is no text.
    """
    builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
    zone = options.stamps_zone or MARKET_ZONE
    is_open, line = False, 0
    with source.opened() as stream:
        for line, text in text_lines(stream, source.name):
            fields = [field.strip() for field in text.split(",")]
            if not is_open and fields[0] != "100":
                builder.reject(line, "must begin with a 100 record")
                is_open = True
            match fields[0]:
                case "100":
                    is_open = True
                case "250":
                    _take_read(builder, line, fields, zone)
                case "550" | "":
                    pass
                case "900":
                    is_open = False
                case other:
                    builder.reject(line, f"has a record {other[:10]!r} that NEM13 does not have")
            if builder.is_full:
                yield builder.take()
    if not line:
        raise BrokenFileError(source.name, "is empty")
    if is_open:
        builder.reject(line, "must end with a 900 record: the file is cut off")
    yield builder.take()


def _take_read(builder: PartBuilder, line: int, fields: list[str], zone: ZoneInfo) -> None:
    if len(fields) < _FIELDS_MIN or not fields[1] or len(fields[1]) > 32:  # noqa: PLR2004
        builder.reject(line, "must have twenty fields in a 250 record")
        return
    suffix, direction, unit = fields[4].upper(), fields[7].upper(), fields[19].upper()
    if unit not in _EXPONENTS:
        builder.leave_out(f"{suffix} ({fields[19] or 'no unit'})", line)
        return
    begins_at, ends_at = _half_hour(fields[9], zone), _half_hour(fields[14], zone)
    try:
        quantity = Decimal(fields[18]).scaleb(_EXPONENTS[unit])
        energy_wh = kwh_to_wh(abs(quantity) if direction == "I" else quantity)
    except (InvalidOperation, ValueError):
        builder.reject(line, "has no number as its quantity")
        return
    if direction not in _FLOWS or begins_at is None or ends_at is None:
        builder.reject(line, "must have a direction E or I and two times YYYYMMDDhhmmss")
        return
    if not 0 < ends_at - begins_at <= _DAYS_MAX * 86_400:
        builder.reject(line, f"is not about 1 to {_DAYS_MAX} days")
        return
    name = fields[1] if suffix in {"", _FIRST_SUFFIX} else f"{fields[1]}/{suffix}"
    marks = range(begins_at, ends_at + 1, HALF_HOUR_S)
    if energy_wh < 0:
        builder.reject(line, "energy below 0")
        return
    energies = interval_energy_wh([(begins_at, 0), (ends_at, energy_wh)], marks=marks)
    builder.add(
        Series("nmi", name, _FLOWS[direction]),
        starts_at=np.array(marks[:-1], dtype=np.int64),
        amount=[energy or 0 for energy in energies],
        quality=Quality.ESTIMATED_INTERPOLATED,
        lines=line,
    )
    builder.note("accumulated reads are spread evenly over their half-hours, marked interpolated")


def _half_hour(written: str, zone: ZoneInfo) -> int | None:
    if len(written) != 14 or not written.isdigit():  # noqa: PLR2004 YYYYMMDDhhmmss
        return None
    try:
        read_at = datetime.strptime(written, "%Y%m%d%H%M%S").replace(tzinfo=zone).timestamp()
    except ValueError:
        return None
    return round(read_at / HALF_HOUR_S) * HALF_HOUR_S


def is_nem13(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as NEM13 does."""
    first = head.lstrip(b"\xef\xbb\xbf\r\n ").split(b"\n", 1)[0].upper()
    return first.startswith(b"100,") and b"NEM13" in first
