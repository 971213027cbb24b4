"""
London CSV: half-hourly readings of the Low Carbon London trial (UK Power Networks).

    LCLid,DateTime,KWH/hh (per half hour)          LCLid,tstp,energy(kWh/hh)
    MAC000002,2012-10-12 00:30:00.0000000, 0       MAC000003,2013-01-01 00:00:00, 1.966

Stamps are naive and mean GMT all year. Rows that say `Null`, and rows off the half hour, are
reported and left out. The quick way parses whole columns; only a part that fails it is looked at
line by line, which finds the line and column of what is wrong.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import polars as pl

from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.domain.reading_columns import (
    IntColumn,
    ReadingColumns,
    distinct,
    joined,
    looked_up,
    reading_columns,
    settled,
)
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.domain.units import kwh_column_to_wh, kwh_to_wh
from meterbook.intake.files.ahead import ahead
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_parts import CsvPart, csv_parts
from meterbook.intake.files.parsed import (
    OWN,
    PART_READINGS,
    REJECTED_KEPT_MAX,
    FilePart,
    LeftOut,
    LineNote,
    ParseOptions,
    Series,
)
from meterbook.intake.files.sources import FileSource

AHEAD_S_MAX = 300  # as for packets: a clock may be this much ahead of ours
_HEADERS = (
    ("lclid", "tstp", "energy(kwh/hh)"),
    ("lclid", "datetime", "kwh/hh (per half hour)"),
)
_COLUMNS = ["home", "stamp", "kwh"]
_HOME = re.compile(r"[A-Za-z]{0,8}([0-9]{1,9})", re.ASCII)
_STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.0{1,7})?", re.ASCII
)
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,6})?", re.ASCII
)
_STAMP_CHARACTERS = 19
_FRACTION = ".0000000"
_MISSING = -1
_REJECTED = -2


class LclLimits(msgspec.Struct, frozen=True):
    """What a file may say."""

    now: int
    """UTC epoch seconds; no reading may lie later."""
    reading_kwh_max: Decimal = Decimal(1000)
    stamp_is_end: bool = False
    """A stamp is the end of its half hour instead of its start."""


class LclPart(msgspec.Struct, frozen=True):
    """Readings of a file, or of a part of a large one, and what was left out."""

    readings: ReadingColumns
    """By meter ID, in the order of the file."""
    rows: int
    repeated: int
    """Rows that say the same as an earlier one."""
    conflicts: int
    """Rows that another one of the same half hour took the place of."""
    null_lines: list[int]
    """Lines of rows that say `Null`."""
    off_grid_lines: list[int]
    """Lines of rows off the half hour."""
    rejected: list[LineNote]
    """Wrong lines, the first thousand."""
    rejected_count: int


class _Rows(msgspec.Struct, frozen=True):
    meter_id: IntColumn
    stamp: IntColumn
    amount: IntColumn
    """Wh; _MISSING for Null, _REJECTED for a line that is wrong."""


def lcl_parts(source: FileSource, *, limits: LclLimits) -> Iterator[LclPart]:
    """
    Yield the file in parts: one, unless it is large.

    :raises BrokenFileError: if it is no London CSV.
    """
    with source.opened() as file, closing(ahead(_splits(file, source.name))) as splits:
        for split in splits:
            yield _part(split, limits)


def read_lcl(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts, in the shape of every format.

    :raises BrokenFileError: if it is no London CSV.
    """
    limits = LclLimits(
        now=options.now,
        reading_kwh_max=options.reading_kwh_max,
        stamp_is_end=bool(options.stamp_is_end),
    )
    waiting: list[LclPart] = []
    for part in lcl_parts(source, limits=limits):
        waiting.append(part)
        if sum(one.rows for one in waiting) >= PART_READINGS:
            yield _file_part(waiting)
            waiting = []
    if waiting:
        yield _file_part(waiting)


def _file_part(parts: list[LclPart]) -> FilePart:
    readings = joined([part.readings for part in parts])
    numbers = distinct(readings.source)
    if len(numbers):
        source = looked_up(readings.source, numbers, np.arange(len(numbers)))
        readings = msgspec.structs.replace(readings, source=source)
    left_out = {
        what: LeftOut(len(lines), lines[0])
        for what, lines in (
            ("Null", [line for part in parts for line in part.null_lines]),
            ("off the half hour", [line for part in parts for line in part.off_grid_lines]),
        )
        if lines
    }
    return FilePart(
        [Series(OWN, str(number)) for number in numbers.tolist()],
        readings,
        [note for part in parts for note in part.rejected][:REJECTED_KEPT_MAX],
        sum(part.rejected_count for part in parts),
        left_out,
        ["stamps are GMT all year"],
    )


def is_lcl(head: bytes, _name: Path) -> bool:
    """Return whether a file begins with one of the headers of London CSV."""
    first = head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace")
    return tuple(name.strip().lower() for name in first.split(",")) in _HEADERS


def _check_header(path: Path, header: str) -> None:
    names = tuple(name.strip().lower() for name in header.split(","))
    if names not in _HEADERS:
        raise BrokenFileError(path, "is not the header of London CSV (LCLid,DateTime,KWH/hh ...)")


class _Split(msgspec.Struct, frozen=True):
    part: CsvPart
    table: pl.DataFrame | None
    """Its rows; None where they must be read line by line."""


def _splits(file: BinaryIO, name: Path) -> Iterator[_Split]:
    for part in csv_parts(file, name):
        if part.header is not None:
            _check_header(name, part.header)
        yield _Split(part, _table(part.body))


def _part(split: _Split, limits: LclLimits) -> LclPart:
    part = split.part
    rejected: list[LineNote] = []
    rows = None if split.table is None else _quick(split.table, limits)
    if rows is None:
        rows, rejected = _careful(part, limits)
    missing = rows.amount == _MISSING
    wrong = rows.amount == _REJECTED
    starts_at = rows.stamp - HALF_HOUR_S if limits.stamp_is_end else rows.stamp
    off_grid = (starts_at % HALF_HOUR_S != 0) & ~missing & ~wrong
    good = ~missing & ~off_grid & ~wrong
    readings = reading_columns(rows.meter_id[good], starts_at[good], rows.amount[good])
    once = settled(readings)
    return LclPart(
        readings,
        rows=len(rows.stamp),
        repeated=once.repeated,
        conflicts=len(once.superseded),
        null_lines=(np.flatnonzero(missing) + part.first_line).tolist(),
        off_grid_lines=(np.flatnonzero(off_grid) + part.first_line).tolist(),
        rejected=rejected,
        rejected_count=int(wrong.sum()),
    )


def _table(body: bytes) -> pl.DataFrame | None:
    if not body:
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    try:
        table = pl.read_csv(
            body, has_header=False, new_columns=_COLUMNS, infer_schema=False, quote_char=None,
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        return None
    return table if (table.height, table.width) == (_lines_in(body), len(_COLUMNS)) else None


def _quick(table: pl.DataFrame, limits: LclLimits) -> _Rows | None:
    stamp, kwh = pl.col("stamp"), pl.col("kwh").str.strip_chars()
    columns = table.select(
        stamp=stamp.str.head(_STAMP_CHARACTERS)
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms", strict=False)
        .dt.epoch("s"),
        plain=(stamp.str.len_bytes() == _STAMP_CHARACTERS) | stamp.str.ends_with(_FRACTION),
        length=stamp.str.len_bytes(),
        kwh=kwh.cast(pl.Float64, strict=False),
        null=kwh == "Null",
    )
    meter_id = _meter_ids(table["home"])
    missing = columns["null"].fill_null(value=False).to_numpy()
    energy_kwh = columns["kwh"].fill_null(np.nan).to_numpy()
    energy_kwh = np.where(missing, 0.0, energy_kwh)
    fine = (energy_kwh >= 0) & (energy_kwh <= float(limits.reading_kwh_max))  # also not NaN
    if (
        meter_id is None
        or columns["stamp"].null_count()
        or not columns["plain"].all()
        or int(columns["length"].max() or 0) > _STAMP_CHARACTERS + len(_FRACTION)  # type: ignore[arg-type]
        or not fine.all()
    ):
        return None
    instants = columns["stamp"].to_numpy()
    if len(instants) and (instants.min() < 0 or instants.max() > limits.now + AHEAD_S_MAX):
        return None
    amount = kwh_column_to_wh(energy_kwh)
    amount[missing] = _MISSING
    return _Rows(meter_id, instants, amount)


def _lines_in(body: bytes) -> int:
    return body.count(b"\n") + (not body.endswith(b"\n"))


def _meter_ids(homes: pl.Series) -> IntColumn | None:
    if homes.null_count():
        return None
    runs = homes.rle().struct.unnest()
    known = {home: _meter_id(home) for home in runs["value"].unique()}
    if any(number is None for number in known.values()):
        return None
    numbers = np.array([known[home] for home in runs["value"]], dtype=np.int64)
    return np.repeat(numbers, runs["len"].to_numpy())


def _meter_id(home: str) -> int | None:
    written = _HOME.fullmatch(home.strip())
    number = int(written[1]) if written else 0
    return number if 1 <= number <= METER_ID_MAX else None


def _careful(part: CsvPart, limits: LclLimits) -> tuple[_Rows, list[LineNote]]:
    rows: list[tuple[int, int, int]] = []
    rejected: list[LineNote] = []
    for index, raw in enumerate(part.body.removesuffix(b"\n").split(b"\n")):
        try:
            rows.append(_careful_row(raw, part.first_line + index, limits))
        except _WrongLineError as error:
            rows.append((0, 0, _REJECTED))
            if len(rejected) < REJECTED_KEPT_MAX:
                rejected.append(error.note)
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return _Rows(table[:, 0], table[:, 1], table[:, 2]), rejected


class _WrongLineError(ValueError):
    def __init__(self, line: int, reason: str, column: int = 1) -> None:
        super().__init__(reason)
        self.note = LineNote(line, reason, column)


def _careful_row(raw: bytes, line: int, limits: LclLimits) -> tuple[int, int, int]:
    try:
        cells = raw.decode().removesuffix("\r").split(",")
    except UnicodeDecodeError as error:
        raise _WrongLineError(line, "is not UTF-8 text", error.start + 1) from None
    if len(cells) != len(_HEADERS[0]):
        raise _WrongLineError(line, f"has {len(cells)} columns instead of 3")
    row = []
    for number, (cell, read) in enumerate(
        zip(cells, (_read_home, _read_stamp, _read_energy), strict=True)
    ):
        try:
            row.append(read(cell.strip(), limits))
        except ValueError as error:
            column = 1 + sum(len(earlier) + 1 for earlier in cells[:number])
            raise _WrongLineError(line, str(error), column) from None
    return row[0], row[1], row[2]


def _read_home(text: str, _limits: LclLimits) -> int:
    number = _meter_id(text)
    if number is None:
        raise ValueError("is not an LCLid such as MAC000002")
    return number


def _read_stamp(text: str, limits: LclLimits) -> int:
    written = _STAMP.fullmatch(text)
    try:
        naive = datetime.fromisoformat(written[1] if written else "")
    except ValueError:
        raise ValueError("is not a stamp such as 2013-01-01 00:30:00") from None
    stamp = int(naive.replace(tzinfo=UTC).timestamp())
    if stamp < 0:
        raise ValueError("is before 1970")
    if stamp > limits.now + AHEAD_S_MAX:
        raise ValueError("is in the future")
    return stamp


def _read_energy(text: str, limits: LclLimits) -> int:
    if text == "Null":
        return _MISSING
    energy_kwh = Decimal(text) if _NUMBER.fullmatch(text) else Decimal(-1)
    if energy_kwh < 0:
        raise ValueError("is not an energy in kWh, nor Null")
    if energy_kwh > limits.reading_kwh_max:
        raise ValueError(f"is more than {limits.reading_kwh_max} kWh in half an hour")
    return kwh_to_wh(energy_kwh)
