"""
NEM12 out: interval data in the Australian market's form.

Days are the market's (+10:00), whatever the meter's clock: intervals are laid on them anew, and
those nobody knows are marked N. What it cannot carry: days known only as a total and intervals
other than 5, 15, 30 and 60 minutes, or that begin between the market's as in Nepal (counted, left
out), and qualities finer than valid, estimated and edited.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from typing import BinaryIO

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_time, time_zone
from meterbook.domain.own_names import NEM12_PARTICIPANT, own_nmi
from meterbook.domain.readings import Flow, Quality
from meterbook.exports.selection import Interval, Selection, intervals_of, selected_days
from meterbook.queries.exported import ExportSeries

_MARKET = time_zone("Australia/Brisbane")
_OFFSET_S = 36_000
_DAY_S = 86_400
_LENGTHS_S = {300, 900, 1800, 3600}
_FLAGS = {
    Quality.ESTIMATED_LIKE_DAY: "E52",
    Quality.ESTIMATED_INTERPOLATED: "E52",
    Quality.EDITED: "F17",
    Quality.QUESTIONABLE: "S17",
}


class Nem12Counts(msgspec.Struct):
    """What was written and what the format cannot carry."""

    readings: int = 0
    left_out: int = 0


def write_nem12(
    connection: sa.Connection, out: BinaryIO, selection: Selection, *, now: int
) -> Nem12Counts:
    """Write the file and return what is in it."""
    counts = Nem12Counts()
    written_at = local_time(now, _MARKET).strftime("%Y%m%d%H%M")
    out.write(f"100,NEM12,{written_at},{NEM12_PARTICIPANT},{NEM12_PARTICIPANT}\n".encode())
    for series, days in selected_days(connection, selection):
        intervals = (one for day in days for one in intervals_of(day, series))
        for length_s, some in groupby(intervals, _market_length_s):
            if length_s is None:
                counts.left_out += sum(1 for _ in some)
                continue
            out.write(_register(series, length_s).encode())
            for line, count in _days(some, length_s):
                out.write(line.encode())
                counts.readings += count
    out.write(b"900\n")
    return counts


def _market_length_s(one: Interval) -> int | None:
    """Return the interval's length; None if the market's days have no such interval."""
    if one.length_s not in _LENGTHS_S or (one.starts_at + _OFFSET_S) % one.length_s:
        return None
    return one.length_s


def _register(series: ExportSeries, length_s: int) -> str:
    nmi, _, number = series.names.get("nmi", own_nmi(series.meter_id)).partition("/")
    suffix = ("E" if series.flow == Flow.IMPORT else "B") + (number or "1")
    return f"200,{nmi},{suffix},{suffix},{suffix},,{series.meter_id},kWh,{length_s // 60},\n"


def _days(intervals: Iterator[Interval], length_s: int) -> Iterator[tuple[str, int]]:
    for day, some in groupby(intervals, lambda one: (one.starts_at + _OFFSET_S) // _DAY_S):
        slots = _DAY_S // length_s
        amounts, flags = ["0"] * slots, ["N"] * slots
        count = 0
        for one in some:
            index = (one.starts_at + _OFFSET_S) % _DAY_S // length_s
            amounts[index] = f"{one.amount // 1000}.{one.amount % 1000:03d}"
            flags[index] = _FLAGS.get(one.quality, "A")
            count += 1
        yield _day(day, amounts, flags), count


def _day(day: int, amounts: list[str], flags: list[str]) -> str:
    text = (local_time(0, time_zone("UTC")) + timedelta(days=day)).strftime("%Y%m%d")
    runs = [(flag, len(list(some))) for flag, some in groupby(flags)]
    if len(runs) == 1:
        reason = "17" if flags[0][0] in "FS" else ""
        return f"300,{text},{','.join(amounts)},{flags[0]},{reason},,,\n"
    lines = [f"300,{text},{','.join(amounts)},V,,,,\n"]
    first = 1
    for flag, count in runs:
        reason = "17" if flag[0] in "FS" else ""
        lines.append(f"400,{first},{first + count - 1},{flag},{reason},\n")
        first += count
    return "".join(lines)
