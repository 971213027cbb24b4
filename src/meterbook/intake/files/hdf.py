"""
ESB Networks' harmonised downloadable file (HDF), the Irish export of half-hourly readings.

    MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time
    10000000001,000000000000001,0.236,Active Import Interval (kW),02-06-2023 08:30

The newest row comes first, the stamp is the END of its half hour on the LOCAL clock, and the unit
hides in the read type: `(kW)` is the mean power of the half hour, so half of it is its kWh. Half of
0.417 is no whole Wh: what is rounded is the day's running total, not each half hour, so that days
and bills add up.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import HALF_HOUR_S, Flow, Quality
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.local_stamps import NO_SUCH_TIME, local_instants
from meterbook.intake.files.parsed import DAY_S, FilePart, ParseOptions, PartBuilder, Series
from meterbook.intake.files.sources import FileSource
from meterbook.intake.files.text_lines import csv_fields, text_lines

ZONE = ZoneInfo("Europe/Dublin")
_HEADER = ("mprn", "meter serial number", "read value", "read type", "read date and end time")
_STAMPS = ("%d-%m-%Y %H:%M", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M", "%d-%b-%y %H:%M")
_KINDS = {
    "active import interval (kw)": (Flow.IMPORT, Decimal("0.5")),
    "active export interval (kw)": (Flow.EXPORT, Decimal("0.5")),
    "active import interval (kwh)": (Flow.IMPORT, Decimal(1)),
    "active export interval (kwh)": (Flow.EXPORT, Decimal(1)),
}
_MICRO_WH_IN_KWH = 10**9
_MICRO = 10**6
_READ_VALUE_MAX = 10**6  # a day of them stays within 64 bits
_ROWS_MAX = 2_000_000  # a file is one home's two years: 70,000

Row = tuple[int, int, int]
"""Local stamp, millionths of a Wh, line."""


def read_hdf(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file as one part.

    :raises BrokenFileError: if it is no text or has another header.
    """
    builder = PartBuilder(options)
    rows: dict[Series, list[Row]] = {}
    with source.opened() as stream:
        lines = text_lines(stream, source.name)
        _, header = next(lines, (1, ""))
        if tuple(name.strip().lower() for name in header.split(",")) != _HEADER:
            raise BrokenFileError(source.name, "is not the header of an ESB HDF file")
        for line, text in lines:
            if line > _ROWS_MAX:
                raise BrokenFileError(source.name, "has more rows than a home has readings")
            if text.strip():
                _take(builder, rows, line, text)
    for series, found in rows.items():
        _add(builder, series, found, options.stamps_zone or ZONE)
    yield builder.take()


def _take(builder: PartBuilder, rows: dict[Series, list[Row]], line: int, text: str) -> None:
    fields = [field.strip() for field in csv_fields(text)]
    if len(fields) != len(_HEADER):
        builder.reject(line, f"has {len(fields)} columns instead of {len(_HEADER)}")
        return
    mprn, _, written, kind, stamp = fields
    if kind.lower() not in _KINDS:
        builder.leave_out(kind or "rows without a read type", line)
        return
    flow, factor = _KINDS[kind.lower()]
    local = _local_stamp(stamp)
    if local is None:
        builder.reject(line, "has a stamp that is not DD-MM-YYYY hh:mm")
        return
    try:
        read_value = Decimal(written)
    except InvalidOperation:
        read_value = Decimal("NaN")
    if not read_value.is_finite():
        builder.reject(line, "has a read value that is no number")
        return
    if abs(read_value) > _READ_VALUE_MAX:
        builder.reject(line, "has a read value no home can have")
        return
    energy = int((read_value * factor * _MICRO_WH_IN_KWH).to_integral_value())
    # A file that was passed on may have its MPRN painted over: then it names no meter.
    name = mprn if mprn.isdigit() and len(mprn) <= 16 else ""  # noqa: PLR2004 an MPRN has 11
    rows.setdefault(Series("mprn", name, flow), []).append((local, energy, line))


def _local_stamp(written: str) -> int | None:
    for form in _STAMPS:
        try:
            return int(datetime.strptime(written, form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return None


def _add(builder: PartBuilder, series: Series, rows: list[Row], zone: ZoneInfo) -> None:
    stamps, micro_wh, lines = np.array(rows, dtype=np.int64).T
    instants = local_instants(stamps, zone=zone, group=np.zeros(len(rows), dtype=np.int64))
    fine = instants.instant != NO_SUCH_TIME
    for line in lines[~fine].tolist():
        builder.reject(line, f"has a time that the clock of {zone.key} skips")
    if instants.doubled:
        builder.note(
            f"{instants.doubled} stamps lie in the hour that {zone.key} has twice; "
            "the order of the rows says which is which"
        )
    builder.note(f"stamps are the end of their half hour on the clock of {zone.key}")
    starts = instants.instant[fine] - HALF_HOUR_S
    builder.add(
        series,
        starts_at=starts,
        amount=_rounded_by_day(micro_wh[fine], starts, day=(stamps[fine] - 1) // DAY_S),
        quality=Quality.RAW,
        lines=lines[fine],
    )


def _rounded_by_day(micro_wh: IntColumn, starts: IntColumn, *, day: IntColumn) -> IntColumn:
    """Return whole Wh whose running total of each local day is rounded, shape (n,)."""
    # What is there twice is rounded once, for it counts once.
    once, row_of = np.unique(np.stack([day, starts, micro_wh]), axis=1, return_inverse=True)
    day, starts, micro_wh = once
    order = np.lexsort((starts, day))
    rounded = np.empty(len(order), dtype=np.int64)
    begins = np.flatnonzero(np.r_[True, np.diff(day[order]) != 0]) if len(order) else order
    for rows in np.split(order, begins[1:]):
        totals = np.r_[0, np.cumsum(micro_wh[rows])]
        whole, rest = np.divmod(totals, _MICRO)
        # Half-even: half of all days end in half a Wh, which must not all go the same way.
        whole += (2 * rest > _MICRO) | ((2 * rest == _MICRO) & (whole % 2 == 1))
        rounded[rows] = np.diff(whole)
    return rounded[row_of.ravel()]


def is_hdf(head: bytes, _name: Path) -> bool:
    """Return whether a file begins with the header of HDF."""
    first = head.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("latin-1")
    return tuple(name.strip().lower() for name in first.split(",")) == _HEADER
