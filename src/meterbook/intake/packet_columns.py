"""
Many packets at once: a body of JSON, NDJSON, CSV or Parquet to packets and rejected rows.

The quick way takes what is plainly right: whole bodies decoded in one go, whole columns parsed at
once. Every row it does not take is looked at on its own, which gives the reasons, and is exact
where a float would round to the wrong Wh.
"""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import polars as pl

from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.domain.units import kwh_column_to_wh
from meterbook.intake.bodies import BodyTooLargeError, BrokenBodyError, MediaTypeError
from meterbook.intake.packet_fields import (
    AHEAD_S_MAX,
    Packet,
    PacketFieldsError,
    PacketLimits,
    decode_packet,
    examine_packet,
)

ROWS_MAX = 10_000_000  # what one request may hold: 200 MB as columns
REJECTED_SHOWN_MAX = 100
FIELDS = ("id", "timestamp", "reading_kWh")
_TIE_WH = 1e-3  # rows this near to half a Wh are rounded from their text, not from a float


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that is not a packet."""

    row: int
    """Counted from 1; in a CSV the first after the header."""
    errors: Mapping[str, list[str]]


class CheckedPackets(msgspec.Struct):
    """The rows of a body."""

    packets: list[Packet] = []
    rows: list[int] = []
    """The row of each packet, counted from 1."""
    rejected: int = 0
    rejected_rows: list[RejectedRow] = []
    """The first hundred."""

    def accept(self, packet: Packet, *, row: int) -> None:
        """Add a packet."""
        self.packets.append(packet)
        self.rows.append(row)

    def reject(self, errors: Mapping[str, list[str]], *, row: int) -> None:
        """Count a rejected row, and keep the first ones."""
        self.rejected += 1
        if len(self.rejected_rows) < REJECTED_SHOWN_MAX:
            self.rejected_rows.append(RejectedRow(row, errors))


def check_packets(
    body: bytes, *, content_type: str, now: int, limits: PacketLimits
) -> CheckedPackets:
    """
    Return the packets and the rejected rows of a body.

    :raises MediaTypeError: if it is of a kind we do not take.
    :raises BrokenBodyError: if it is not what its content type says.
    :raises BodyTooLargeError: if it has more than ten million rows.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/json" | "":
            rows = _json_rows(body)
        case "application/x-ndjson" | "application/ndjson" | "application/jsonl":
            rows = [line for line in body.splitlines() if line.strip()]
        case "text/csv":
            return _check_frame(_csv(body), now=now, limits=limits)
        case "application/vnd.apache.parquet" | "application/x-parquet":
            return _check_frame(_parquet(body), now=now, limits=limits)
        case other:
            raise MediaTypeError(
                f"{other} is not taken; send application/json, application/x-ndjson, text/csv or "
                "application/vnd.apache.parquet"
            )
    if len(rows) > ROWS_MAX:
        raise BodyTooLargeError(bytes_max=ROWS_MAX)
    checked = CheckedPackets()
    for number, row in enumerate(rows, start=1):
        try:
            checked.accept(decode_packet(row, now=now, limits=limits), row=number)
        except PacketFieldsError as error:
            checked.reject(error.errors, row=number)
    return checked


def _json_rows(body: bytes) -> list[bytes | msgspec.Raw]:
    try:
        rows: list[bytes | msgspec.Raw] = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenBodyError(f"not a JSON array of packets: {error}") from None
    return rows


def _csv(body: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise BrokenBodyError(f"not CSV: {error}") from None
    return frame.rename({name: name.strip() for name in frame.columns})


def _parquet(body: bytes) -> pl.DataFrame:
    try:
        lazy = pl.scan_parquet(io.BytesIO(body))
        if lazy.select(pl.len()).collect().item() > ROWS_MAX:
            raise BodyTooLargeError(bytes_max=ROWS_MAX)
        wanted = [name for name in lazy.collect_schema().names() if name in FIELDS]
        return lazy.select(wanted).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BrokenBodyError(f"not Parquet: {error}") from None


def _check_frame(frame: pl.DataFrame, *, now: int, limits: PacketLimits) -> CheckedPackets:
    absent = [name for name in FIELDS if name not in frame.columns]
    if absent:
        raise BrokenBodyError(f"has no column {', '.join(absent)}")
    if frame.height > ROWS_MAX:
        raise BodyTooLargeError(bytes_max=ROWS_MAX)
    frame = frame.select(FIELDS)
    checked = CheckedPackets()
    numbers = frame.select(
        _as_integer(frame, "id").alias("id"),
        _as_epoch(frame, "timestamp").alias("stamp"),
        _as_float(frame, "reading_kWh").alias("kwh"),
    )
    # Null and NaN both fail every comparison below, and so are looked at one by one.
    energy_kwh = numbers["kwh"].fill_null(np.nan).to_numpy()
    scaled = energy_kwh * 1000.0
    plain = (
        numbers["id"].is_between(1, METER_ID_MAX).fill_null(value=False).to_numpy()
        & numbers["stamp"].is_between(0, now + AHEAD_S_MAX).fill_null(value=False).to_numpy()
        & (energy_kwh >= 0)
        & (energy_kwh <= float(limits.reading_kwh_max))
        & (np.abs(scaled - np.floor(scaled) - 0.5) > _TIE_WH)
    )
    energy_wh = kwh_column_to_wh(np.where(plain, energy_kwh, 0.0))
    rows = np.flatnonzero(plain)
    ids = numbers["id"].fill_null(0).to_numpy()[rows].tolist()
    stamps = numbers["stamp"].fill_null(0).to_numpy()[rows].tolist()
    checked.packets = [*map(Packet, ids, stamps, energy_wh[rows].tolist())]
    checked.rows = (rows + 1).tolist()
    doubtful = np.flatnonzero(~plain)
    _check_one_by_one(checked, frame[doubtful], doubtful.tolist(), now=now, limits=limits)
    return checked


def _check_one_by_one(
    checked: CheckedPackets,
    frame: pl.DataFrame,
    rows: Iterable[int],
    *,
    now: int,
    limits: PacketLimits,
) -> None:
    for index, fields in zip(rows, frame.iter_rows(named=True), strict=True):
        try:
            packet = examine_packet(_as_written(fields), now=now, limits=limits)
        except PacketFieldsError as error:
            checked.reject(error.errors, row=index + 1)
        else:
            checked.accept(packet, row=index + 1)


def _as_written(fields: dict[str, Any]) -> dict[str, Any]:
    stamp = fields["timestamp"]
    if stamp is not None and not isinstance(stamp, str):
        fields["timestamp"] = stamp.isoformat() if hasattr(stamp, "isoformat") else str(stamp)
    return fields


def _as_integer(frame: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    if frame.schema[name] == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Int64, strict=False) if _is_plain(frame, name) else pl.lit(None, pl.Int64)


def _as_float(frame: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    if frame.schema[name] == pl.String:
        column = column.str.strip_chars()
    return (
        column.cast(pl.Float64, strict=False)
        if _is_plain(frame, name)
        else pl.lit(None, pl.Float64)
    )


def _as_epoch(frame: pl.DataFrame, name: str) -> pl.Expr:
    kind = frame.schema[name]
    if kind == pl.String:
        # The one form nearly every sender uses; any other ISO 8601 is looked at on its own.
        stamp = (
            pl.col(name)
            .str.strip_chars()
            .str.strptime(pl.Datetime("us", "UTC"), "%Y-%m-%dT%H:%M:%SZ", strict=False)
        )
        return stamp.dt.epoch("s")
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.col(name).dt.epoch("s")
    return pl.lit(None, pl.Int64)


def _is_plain(frame: pl.DataFrame, name: str) -> bool:
    kind = frame.schema[name]
    return kind == pl.String or (kind.is_numeric() and not kind.is_decimal())
