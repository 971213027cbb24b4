"""
The plainest CSV there is, read from its bytes: meter, ISO stamp without offset, kWh.

    12,2013-01-01 00:30:00, 0.158      eight bytes of a field at once are one number of 64 bits

No text is made of a field: eight characters are loaded as one number, and the same few operations
on whole columns tell whether they are digits and what they say. Rows that are anything else than
plain make the whole piece somebody else's, who reads and rejects with care; both say the same.
"""

from datetime import date
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.units import kwh_column_to_wh
from meterbook.intake.files.csv_mapping import CsvMapping

_BEFORE = bytes(16)  # so that what ends at the first byte can be loaded, too
_AFTER = bytes(16)
_LINE_FEED, _SPACE, _ZERO, _NINE = b"\n 09"
_STAMP_BYTES, _LONG_STAMP_BYTES = 19, 27
_FRACTION = int.from_bytes(b".0000000", "little")
_SEPARATORS = tuple(b" T")
_DATE_FORM = np.frombuffer(b"0000-00-00", dtype=np.uint8)
_IS_DIGIT = _DATE_FORM == _ZERO
_POWERS = np.array([1000, 100, 10, 1, 0, 0, 1, 0, 0, 0])
_CLOCK = int.from_bytes(b"00:00:00", "little")
_ODD_SHARE = 8
_KWH_MAX = 1e6
_U = np.uint64
_TENS = _U(0x7676767676767676)  # added to a byte below 128, sets its highest bit from 10 on
_CLOCK_LIMITS = _U(0x76767F76767F7676)  # the same, from 1 on where a colon belongs
_HIGHEST, _LOWER = _U(0x8080808080808080), _U(0x7F7F7F7F7F7F7F7F)
_DIGITS = _U(0x3030303030303030)
_POINTS = _U(0x1E1E1E1E1E1E1E1E)  # a point where digits have been made 0 to 9
_NOT_A_NUMBER = -1
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


class PlainRows(msgspec.Struct, frozen=True):
    """Rows of a piece, all of them right."""

    names: list[str]
    """The meters as written, each time another one follows in the file, shape (runs,)."""
    run_rows: IntColumn
    """How many rows each has, shape (runs,)."""
    wall_s: IntColumn
    """Seconds since 1970 on the clock of the stamps, shape (n,)."""
    energy_wh: IntColumn
    """Shape (n,)."""


class _Fields(msgspec.Struct, frozen=True):
    """A column of fields: where each begins and ends among the bytes."""

    octets: npt.NDArray[np.uint8]
    words: Words
    """The same bytes, eight to a number, the first one lowest."""
    begin: IntColumn
    end: IntColumn

    def loaded(self, at: IntColumn) -> Words:
        """Return the eight bytes from each place on, as one number."""
        word, over = at >> 3, (at & 7).astype(np.uint64) << _U(3)
        loaded: Words = self.words[word] >> over | self.words[word + 1] << (_U(64) - over)
        return loaded

    def last(self, count: IntColumn, *, before: int = 0) -> Words:
        """Return the last bytes of each, at most eight, with zeros before them."""
        loaded = self.loaded(self.end - (8 + before))
        unwanted = (8 * (8 - count)).astype(np.uint64)
        return loaded >> unwanted << unwanted


def is_plain(mapping: CsvMapping) -> bool:
    """Say whether a file of this shape may be read here."""
    more = (mapping.time, mapping.ends, mapping.flow, mapping.quality, mapping.estimated,
            mapping.meter_zone, mapping.export)  # fmt: skip
    return (
        not any(more)
        and bool(mapping.meter and mapping.stamp)
        and len(mapping.energy or []) == 1
        and mapping.layout == "long"
        and mapping.date_order in {None, "ymd"}
        and mapping.unit == "kwh"
        and mapping.decimal == "."
        and len({mapping.meter, mapping.stamp, *(mapping.energy or [])}) == 3  # noqa: PLR2004
    )


def plain_rows(
    body: bytes, mapping: CsvMapping, columns: list[str], *, count: int
) -> PlainRows | None:
    """
    Return the rows of whole lines; None if one of them is not plain.

    :param body: with as many delimiters in all as `count` lines of these columns have.
    """
    if b"\r" in body or not count:
        return None
    padded = b"".join((_BEFORE, body, b"" if body.endswith(b"\n") else b"\n", _AFTER))
    octets = np.frombuffer(padded, dtype=np.uint8)
    words = np.frombuffer(padded, dtype="<u8", count=len(padded) // 8)
    delimiter = (mapping.delimiter or ",").encode()
    ends = np.flatnonzero((octets == delimiter[0]) | (octets == _LINE_FEED))
    if len(ends) != count * len(columns):
        return None
    by_column = np.ascontiguousarray(ends.reshape(count, len(columns)).T)
    if (octets[by_column[-1]] != _LINE_FEED).any():
        return None

    def fields(name: str) -> _Fields:
        at = columns.index(name)
        before = by_column[at - 1] if at else np.r_[len(_BEFORE) - 1, by_column[-1, :-1]]
        return _Fields(octets, words, before + 1, by_column[at])

    wall_s = _wall_s(fields(mapping.stamp or ""))
    energy_wh = None if wall_s is None else _energy_wh(fields((mapping.energy or [""])[0]))
    runs = None if energy_wh is None else _meter_runs(fields(mapping.meter or ""))
    if wall_s is None or energy_wh is None or runs is None:
        return None
    return PlainRows(*runs, wall_s, energy_wh)


def _meter_runs(field: _Fields) -> tuple[list[str], IntColumn] | None:
    length = field.end - field.begin
    if int(length.min()) < 1 or int(length.max()) > 2 * 8:
        return None
    text = field.last(np.minimum(length, 8))
    changes = text[1:] != text[:-1]
    if int(length.max()) > 8:  # noqa: PLR2004 bytes of a word
        longer = field.last(np.maximum(length - 8, 0), before=8)
        longer[length <= 8] = 0  # noqa: PLR2004
        changes |= longer[1:] != longer[:-1]
    heads = np.r_[0, np.flatnonzero(changes) + 1]
    places = zip(field.begin[heads].tolist(), field.end[heads].tolist(), strict=True)
    names = [field.octets[begin:end].tobytes().decode() for begin, end in places]
    if not all(map(str.strip, names)):
        return None
    return names, np.diff(np.r_[heads, len(length)])


def _wall_s(field: _Fields) -> IntColumn | None:
    begin, length = field.begin, field.end - field.begin
    is_long = length == _LONG_STAMP_BYTES
    if not (is_long | (length == _STAMP_BYTES)).all():
        return None
    if is_long.any() and (field.loaded(begin[is_long] + _STAMP_BYTES) != _FRACTION).any():
        return None
    year, rest = field.loaded(begin), field.loaded(begin + 8) & _U(0xFFFFFF)
    heads = np.r_[0, np.flatnonzero((year[1:] != year[:-1]) | (rest[1:] != rest[:-1])) + 1]
    midnights = _midnights(field.octets, begin[heads])
    clock = field.loaded(begin + 11) ^ _U(_CLOCK)
    if midnights is None or ((clock | (clock + _CLOCK_LIMITS)) & _HIGHEST).any():
        return None
    pairs = clock * _U(10) + (clock >> _U(8))
    hour, minute, second = (pairs >> _U(bits) & _U(0xFF) for bits in (0, 24, 48))
    if int(hour.max()) > 23 or int(minute.max()) > 59 or int(second.max()) > 59:  # noqa: PLR2004
        return None
    of_day = (hour * _U(60) + minute) * _U(60) + second
    wall_s: IntColumn = np.repeat(midnights, np.diff(np.r_[heads, len(begin)]))
    wall_s += of_day.view(np.int64)
    return wall_s


def _midnights(octets: npt.NDArray[np.uint8], begin: IntColumn) -> IntColumn | None:
    """Return the dates at these places, as seconds; None if one is none, or goes on oddly."""
    if not np.isin(octets[begin + len(_DATE_FORM)], _SEPARATORS).all():
        return None
    written = octets[begin[:, None] + np.arange(len(_DATE_FORM))]
    digits = written.astype(np.int64) - _DATE_FORM
    if (digits < 0).any() or (digits > np.where(_IS_DIGIT, 9, 0)).any():
        return None
    numbers = digits[:, [0, 1, 2, 3, 5, 6, 8, 9]] @ 10 ** np.arange(7, -1, -1)
    found = [_midnight(number) for number in numbers.tolist()]
    return None if None in found else np.array(found, dtype=np.int64)


@lru_cache(maxsize=1 << 14)  # 40 years
def _midnight(digits: int) -> int | None:
    try:
        day = date(digits // 10_000, digits // 100 % 100, digits % 100)
    except ValueError:
        return None
    return (day - date(1970, 1, 1)).days * 86_400


def _energy_wh(field: _Fields) -> IntColumn | None:
    """Return Wh; None if one is wrong, or too many have more than eight characters."""
    octets = field.octets
    begin = field.begin + (octets[field.begin] == _SPACE)
    end = field.end - (octets[field.end - 1] == _SPACE)
    own = _Fields(octets, field.words, begin, end)
    energy_wh = _short_wh(own, end - begin)
    odd = np.flatnonzero(energy_wh == _NOT_A_NUMBER)
    if len(odd) > len(begin) // _ODD_SHARE + 1:
        return None
    if len(odd):
        places = zip(begin[odd].tolist(), end[odd].tolist(), strict=True)
        texts = pl.Series([octets[a:b].tobytes().decode() for a, b in places], dtype=pl.String)
        numbers = texts.str.strip_chars().cast(pl.Float64, strict=False).fill_null(-1).to_numpy()
        if not ((numbers >= 0) & (numbers < _KWH_MAX)).all():
            return None
        energy_wh[odd] = kwh_column_to_wh(numbers)
    return energy_wh


def _short_wh(field: _Fields, length: IntColumn) -> IntColumn:
    """Return Wh of numbers with up to eight characters and three places; -1 where it is another."""
    is_short = (length >= 1) & (length <= 8)  # noqa: PLR2004 bytes of a word
    unwanted = (8 * (8 - np.where(is_short, length, 8))).astype(np.uint64)
    text = (field.loaded(field.end - 8) ^ _DIGITS) >> unwanted << unwanted
    other = text ^ _POINTS
    point = ~((other & _LOWER) + _LOWER | other) & _HIGHEST
    one = point >> _U(7)
    # What stands before the point moves up by the place that it takes.
    digits = np.where(
        point == 0, text, (text & (one - _U(1))) << _U(8) | text & ~((one << _U(8)) - _U(1))
    )
    is_number = ((digits | (digits + _TENS)) & _HIGHEST) == 0
    is_number &= is_short & (one != _U(1) << unwanted)  # no point before the first digit
    pairs = (digits * _U(10) + (digits >> _U(8))) & _U(0x00FF00FF00FF00FF)
    fours = (pairs * _U(100) + (pairs >> _U(16))) & _U(0x0000FFFF0000FFFF)
    number = (fours * _U(10_000) + (fours >> _U(32))) & _U(0xFFFFFFFF)
    times = np.full(len(number), _NOT_A_NUMBER, dtype=np.int64)
    for places, factor in ((0, 1000), (1, 100), (2, 10), (3, 1)):
        times[one == (0 if not places else 1 << 8 * (7 - places))] = factor
    fits = is_number & (times > 0)
    return np.where(fits, number.view(np.int64) * times, _NOT_A_NUMBER)
