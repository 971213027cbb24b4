"""
NEM12: interval meter data of the Australian market (AEMO, Meter Data File Format, MDFF 2.x).

    100,NEM12,...                          header
    200,NMI,...,suffix,...,unit,minutes    a register: E consumption, B fed in, Q and K reactive
    300,YYYYMMDD,v1,...,vn,quality,...     one day of it, on the market's clock
    400,first,last,quality,...             which intervals of a day marked V have which quality
    900                                    end

The market's clock is Eastern Standard Time all year: no day is longer than another. An NMI may
have several registers (E1, E2): the first is the NMI's meter, others get meters of their own, so
that nothing is added up or overwritten in silence. In our own exports a meter without an NMI has
its number in ten digits, and again as its serial number: it is that meter. Ours rather than
the nemreader package: that one pulls in pandas and lets pass what must be refused.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from meterbook.domain.own_names import NEM12_PARTICIPANT, meter_of_nmi
from meterbook.domain.readings import Flow, Quality
from meterbook.domain.units import kwh_column_to_wh, kwh_to_wh
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.parsed import (
    OWN,
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource
from meterbook.intake.files.text_lines import text_lines

MARKET_ZONE = ZoneInfo("Australia/Brisbane")  # Eastern Standard Time, no summer time
_FLOWS = {"E": Flow.IMPORT, "B": Flow.EXPORT}
_KWH = {"WH": -3, "KWH": 0, "MWH": 3}
_QUALITY = re.compile(r"([AEFNSV])([0-9]{2})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})", re.ASCII)
_WHOLE = re.compile(r"[0-9]+", re.ASCII)
_MISSING = -1
_MINUTES_OF_DAY = 1440
QUALITIES = {
    "A": int(Quality.VALID),
    "E": int(Quality.ESTIMATED_LIKE_DAY),
    "F": int(Quality.ESTIMATED_LIKE_DAY),
    "S": int(Quality.ESTIMATED_LIKE_DAY),
    "N": _MISSING,
}


class _Register(msgspec.Struct, frozen=True):
    series: Series | None
    """None: not active energy."""
    label: str
    interval_minutes: int
    exponent: int = 0
    """Of ten: the unit in kWh."""

    @property
    def intervals(self) -> int:
        return _MINUTES_OF_DAY // self.interval_minutes


class _Day(msgspec.Struct):
    line: int
    starts_at: int
    amounts: list[str]
    flag: str
    qualities: list[int]
    """Filled by 400 records where the flag is V."""


def read_nem12(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts.

    :raises BrokenFileError: if it is no text.
    """
    reader = _Reader(options)
    with source.opened() as stream:
        line = 0
        for line, text in text_lines(stream, source.name):
            reader.take(line, text)
            if reader.builder.is_full:
                yield reader.builder.take()
        if not line:
            raise BrokenFileError(source.name, "is empty")
        reader.end(line)
    yield reader.builder.take()


class _Reader:
    """Reads record by record; a wrong one is rejected and the next one is read."""

    def __init__(self, options: ParseOptions) -> None:
        self.builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
        self._zone = options.stamps_zone or MARKET_ZONE
        self._register: _Register | None = None
        self._day: _Day | None = None
        self._open = False
        self._seen = False
        self._is_ours = False

    def take(self, line: int, text: str) -> None:
        fields = [field.strip() for field in text.split(",")]
        kind = fields[0]
        if kind != "400":
            self._finish_day()
        if not self._open and kind != "100":
            # A spreadsheet's export may begin with an empty line; it is no header either.
            self.builder.reject(line, "must begin with a 100 record")
            self._open = True
        self._seen = True
        match kind:
            case "100":
                self._begin(line, fields)
            case "200":
                self._register = self._read_register(line, fields)
            case "300":
                self._day = self._read_day(line, fields)
            case "400":
                self._read_quality(line, fields)
            case "500" | "":
                pass  # B2B details of the day above; blank lines
            case "900":
                self._open = False
                self._register = None
            case _:
                self.builder.reject(line, f"has a record {kind[:10]!r} that NEM12 does not have")

    def end(self, line: int) -> None:
        self._finish_day()
        if self._open:
            self.builder.reject(line, "must end with a 900 record: the file is cut off")

    def _begin(self, line: int, fields: list[str]) -> None:
        if self._open:
            self.builder.reject(line, "has a 100 record before the 900 record of the file before")
        if len(fields) < 2 or fields[1].upper() != "NEM12":  # noqa: PLR2004 the version
            self.builder.reject(line, "must say NEM12 in its 100 record")
        self._open = True
        self._is_ours = fields[3:5] == [NEM12_PARTICIPANT] * 2

    def _read_register(self, line: int, fields: list[str]) -> _Register | None:
        if len(fields) < 9 or not fields[1] or len(fields[1]) > 32 or not fields[4]:  # noqa: PLR2004
            self.builder.reject(line, "must have NMI, suffix, unit and interval length in a 200")
            return None
        nmi, suffix, unit, minutes = fields[1], fields[4].upper(), fields[7].upper(), fields[8]
        if not minutes.isascii() or not minutes.isdigit() or len(minutes) > 3 or not int(minutes):  # noqa: PLR2004
            self.builder.reject(line, "has an interval length that is no number of minutes")
            return None
        length = int(minutes)
        if _MINUTES_OF_DAY % length or length > 60:  # noqa: PLR2004 an hour
            self.builder.reject(line, f"has intervals of {length} minutes: no part of an hour")
            return None
        label = f"{suffix} ({fields[7] or 'no unit'})"
        flow = _FLOWS.get(suffix[0])
        if flow is None or unit not in _KWH:
            return _Register(None, label, length)
        scheme, name = "nmi", nmi if suffix[1:] in {"", "1"} else f"{nmi}/{suffix[1:]}"
        own = meter_of_nmi(nmi, serial=fields[6]) if self._is_ours else None
        if own is not None:
            scheme, name = OWN, str(own)
        series = Series(scheme, name, flow, length * 60)
        return _Register(series, label, length, _KWH[unit])

    def _read_day(self, line: int, fields: list[str]) -> _Day | None:
        register = self._register
        if register is None:
            self.builder.reject(line, "has a 300 record without a good 200 record before it")
            return None
        count = register.intervals
        if len(fields) < count + 3 or not (match := _QUALITY.fullmatch(fields[count + 2])):
            given = next((i for i, f in enumerate(fields[2:]) if _QUALITY.fullmatch(f)), None)
            found = len(fields) - 2 if given is None else given
            self.builder.reject(
                line,
                f"has {found} values and then {'no' if given is None else 'a'} quality; "
                f"{count} intervals of {register.interval_minutes} minutes are a day",
            )
            return None
        starts_at = self._midnight(fields[1])
        if starts_at is None:
            self.builder.reject(line, "has a date that is not YYYYMMDD", column=5)
            return None
        qualities = [] if match[1] == "V" else [QUALITIES[match[1]]] * count
        return _Day(line, starts_at, fields[2 : count + 2], match[1], qualities)

    def _midnight(self, written: str) -> int | None:
        if len(written) != 8 or not written.isdigit():  # noqa: PLR2004 YYYYMMDD
            return None
        try:
            day = datetime.strptime(written, "%Y%m%d").replace(tzinfo=self._zone)
        except ValueError:
            return None
        return int(day.astimezone(UTC).timestamp())

    def _read_quality(self, line: int, fields: list[str]) -> None:
        day = self._day
        if day is None:
            return  # of a day that is rejected already
        if day.flag != "V":
            self._reject_day(line, "has a 400 record after a day whose quality is not V")
            return
        match = _QUALITY.fullmatch(fields[3]) if len(fields) > 3 else None  # noqa: PLR2004
        if match is None or match[1] == "V" or not all(map(_WHOLE.fullmatch, fields[1:3])):
            self._reject_day(line, "must have first and last interval and a quality in a 400")
            return
        first, last = int(fields[1][:6]), int(fields[2][:6])
        expected = len(day.qualities) + 1
        if first != expected or not first <= last <= len(day.amounts):
            count = len(day.amounts)
            self._reject_day(
                line,
                f"says the quality of intervals {first} to {last}; "
                f"{expected} is next, and the day has {count}",
            )
            return
        day.qualities += [QUALITIES[match[1]]] * (last - first + 1)

    def _reject_day(self, line: int, reason: str) -> None:
        self.builder.reject(line, reason)
        self._day = None

    def _finish_day(self) -> None:
        day, self._day = self._day, None
        if day is None or self._register is None:
            return
        register = self._register
        if len(day.qualities) != len(day.amounts):
            self.builder.reject(
                day.line,
                f"is of quality V, and its 400 records end at interval {len(day.qualities)} "
                f"of {len(day.amounts)}",
            )
            return
        if register.series is None:
            self.builder.leave_out(register.label, day.line, count=len(day.amounts))
            return
        self._add(day, register, register.series)

    def _add(self, day: _Day, register: _Register, series: Series) -> None:
        qualities = np.array(day.qualities, dtype=np.int64)
        known = qualities != _MISSING
        amounts = energies_wh(day.amounts, known.tolist(), exponent=register.exponent)
        if isinstance(amounts, str):
            self.builder.reject(day.line, amounts)
            return
        missing = len(qualities) - int(known.sum())
        self.builder.leave_out("intervals marked N (null)", day.line, count=missing)
        starts = day.starts_at + np.arange(len(qualities), dtype=np.int64) * series.interval_s
        self.builder.add(
            series,
            starts_at=starts[known],
            amount=np.array(amounts, dtype=np.int64)[known],
            quality=qualities[known],
            lines=day.line,
        )


def energies_wh(texts: list[str], known: list[bool], *, exponent: int) -> list[int] | str:
    """Return the energies of a day in Wh, 0 where it is not known; or what is wrong with one."""
    for index, (text, wanted) in enumerate(zip(texts, known, strict=True)):
        if wanted and not _NUMBER.fullmatch(text):
            return f"has no number in interval {index + 1}"
    plain = [text if wanted else "0" for text, wanted in zip(texts, known, strict=True)]
    if exponent == 0:
        return list(kwh_column_to_wh(np.array(plain, dtype=np.float64)).tolist())
    try:
        return [kwh_to_wh(Decimal(text).scaleb(exponent)) for text in plain]
    except (InvalidOperation, ValueError):
        return "has a number that is too large"


def is_nem12(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as NEM12 does, or as one whose header was lost."""
    start = head.lstrip(b"\xef\xbb\xbf\r\n ")
    first = start.split(b"\n", 1)[0].upper()
    return (first.startswith(b"100,") and b"NEM12" in first) or start.startswith(b"200,")
