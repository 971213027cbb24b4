"""
Readings as a table, CSV or Parquet: a row for each interval that is known.

    meter_id,flow,starts_at,ends_at,kWh,quality,zone
    12,import,2024-02-01T00:00:00Z,2024-02-01T00:30:00Z,0.251,raw,Europe/London

What is missing has no row. The zone says where the meter's days begin; stamps are UTC all the
same. `meterbook import` reads both back without a flag, to the same book.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl
import sqlalchemy as sa
from polars.io.plugins import register_io_source

from meterbook.domain.local_days import utc_text
from meterbook.exports.selection import Selection, intervals_of, selected_days

ROWS_AT_ONCE = 100_000
COLUMNS = ("meter_id", "flow", "starts_at", "ends_at", "kWh", "quality", "zone")
_SCHEMA: dict[str, pl.DataType] = {
    "meter_id": pl.Int64(),
    "flow": pl.String(),
    "starts_at": pl.Datetime("ms", "UTC"),
    "ends_at": pl.Datetime("ms", "UTC"),
    "kWh": pl.Float64(),
    "quality": pl.String(),
    "zone": pl.String(),
}
_Row = tuple[int, str, int, int, int, str, str]


def write_csv(connection: sa.Connection, out: BinaryIO, selection: Selection) -> int:
    """Write the table and return its number of rows."""
    out.write((",".join(COLUMNS) + "\n").encode())
    count = 0
    rows = _rows(connection, selection)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        lines = (
            f"{meter},{flow},{utc_text(start)},{utc_text(end)},"
            f"{amount // 1000}.{amount % 1000:03d},{quality},{zone}\n"
            for meter, flow, start, end, amount, quality, zone in some
        )
        out.write("".join(lines).encode())
        count += len(some)
    return count


def write_parquet(connection: sa.Connection, path: Path, selection: Selection) -> int:
    """Write the table and return its number of rows; in slices, so memory does not grow."""
    count = 0

    def slices(
        _columns: list[str] | None,
        _predicate: pl.Expr | None,
        _rows_wanted: int | None,
        _batch: int | None,
    ) -> Iterator[pl.DataFrame]:
        nonlocal count
        rows = _rows(connection, selection)
        while some := list(islice(rows, ROWS_AT_ONCE)):
            count += len(some)
            yield _frame(some)

    frame = register_io_source(io_source=slices, schema=_SCHEMA)
    frame.sink_parquet(path, compression="zstd")
    return count


def _frame(rows: list[_Row]) -> pl.DataFrame:
    meters, flows, starts, ends, amounts, qualities, zones = zip(*rows, strict=True)
    seconds = pl.DataFrame({"starts_at": starts, "ends_at": ends}) * 1000
    instants = seconds.cast(pl.Datetime("ms")).select(pl.all().dt.replace_time_zone("UTC"))
    return pl.DataFrame(
        {
            "meter_id": meters,
            "flow": flows,
            "starts_at": instants["starts_at"],
            "ends_at": instants["ends_at"],
            "kWh": [amount / 1000 for amount in amounts],
            "quality": qualities,
            "zone": zones,
        },
        schema=_SCHEMA,
    )


def _rows(connection: sa.Connection, selection: Selection) -> Iterator[_Row]:
    for series, days in selected_days(connection, selection):
        flow = series.flow.name.lower()
        for day in days:
            for one in intervals_of(day, series):
                ends_at = one.starts_at + one.length_s
                yield (
                    series.meter_id, flow, one.starts_at, ends_at, one.amount, one.quality.word,
                    series.zone.key,
                )  # fmt: skip
