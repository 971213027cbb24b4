"""The stamps of a table: dates and times in the forms people write them, on whole columns."""

from datetime import date, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from meterbook.intake.files.csv_mapping import CsvMapping

# By the order of day, month and year; what follows (a fraction, an offset) is looked at by itself.
_QUICK = {
    "ymd": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"),
    "dmy": ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M",
            "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M"),
    "mdy": ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"),
}  # fmt: skip
_KNOWN_MAX = 1 << 18  # 15 years of half hours: more are no longer those that homes share
_SUFFIXES_MAX = 50  # fractions and offsets: a column has one or two of them
_SUFFIX = r"\s*(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)?"
_FRACTION = r"(?:[.,]0+)?"
_DATE = {
    "ymd": r"(?P<y>\d{4})[-/.]?(?P<m>\d{1,2})[-/.]?(?P<d>\d{1,2})",
    "dmy": r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4}|\d{2})",
    "mdy": r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4}|\d{2})",
}
_TIME = (
    r"(?:[T ]\s*(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,]0+)?)?\s*(?P<half>[AaPp][Mm])?)?"
)
_OFFSET = r"\s*(?P<zulu>Z|UTC)?(?P<sign>[+-])?(?P<oh>\d{2})?:?(?P<om>\d{2})?"
_CENTURY = 2000
_HALF_DAY_H = 12


class Stamps(msgspec.Struct, frozen=True):
    """The stamps of some rows."""

    seconds: npt.NDArray[np.float64]
    """UTC epoch seconds, or the same count on the local clock; NaN where it is no stamp."""
    is_instant: bool
    """They carry their offset."""


class StampReader:
    """
    Reads the stamps of one file, part after part.

    Many homes have the same ones: each different stamp of a file is then read once.
    """

    def __init__(self, mapping: CsvMapping) -> None:
        self._mapping = mapping
        self._forget()

    def _forget(self) -> None:
        # Categories with a name would keep every stamp as long as the process lives.
        kind = pl.Categorical(pl.Categories.random())
        # Codes last as long as a column does that has them: this one stays, and stays empty.
        self._codes = pl.Series(dtype=kind)
        self._known = Stamps(np.empty(0), is_instant=False)

    def read(self, table: pl.DataFrame, *, is_repeated: bool = False) -> Stamps:
        """
        Return the stamp of each row, shape (n,).

        :param is_repeated: most stamps stand there several times, as with several meters.
        """
        mapping = self._mapping
        column = table[mapping.stamp or ""]
        if mapping.time:
            times = table[mapping.time].cast(pl.String)
            column = (column.cast(pl.String) + " " + times).alias("stamp")
        if column.dtype != pl.String:
            return _of_typed(column)
        order = mapping.date_order or "ymd"
        if is_repeated and not column.null_count():
            return self._of_repeated(column, order)
        return _read(column.str.strip_chars(), order)

    def _of_repeated(self, column: pl.Series, order: str) -> Stamps:
        coded = column.cast(self._codes.dtype)
        codes = coded.to_physical().to_numpy()
        count = len(self._known.seconds)
        if int(codes.max()) >= count:
            different = coded.filter(codes >= count).unique()
            new = _read(different.cast(pl.String).str.strip_chars(), order)
            if count and new.is_instant != self._known.is_instant:
                # Which of them are right, those with an offset or those without, this part says.
                self._forget()
                return self._of_repeated(column, order)
            seconds = np.concatenate([self._known.seconds, np.empty(len(different))])
            seconds[different.to_physical().to_numpy()] = new.seconds
            self._known = Stamps(seconds, is_instant=new.is_instant)
        read = Stamps(self._known.seconds[codes], is_instant=self._known.is_instant)
        if len(self._known.seconds) > _KNOWN_MAX or np.isnan(self._known.seconds).any():
            self._forget()
        return read


def _of_typed(column: pl.Series) -> Stamps:
    if isinstance(column.dtype, pl.Datetime):
        seconds = column.dt.epoch("s").cast(pl.Float64).fill_null(np.nan).to_numpy()
        return Stamps(seconds, is_instant=column.dtype.time_zone is not None)
    if column.dtype == pl.Date:
        days = column.cast(pl.Datetime("ms")).dt.epoch("s")
        return Stamps(days.cast(pl.Float64).fill_null(np.nan).to_numpy(), is_instant=False)
    return Stamps(np.full(len(column), np.nan), is_instant=False)


def _read(column: pl.Series, order: str) -> Stamps:
    quick = _quick(column, order)
    return _slow(column, order) if quick is None else quick


def _quick(column: pl.Series, order: str) -> Stamps | None:
    """Return the stamps where all are of one common form, with every digit written."""
    first = next((text for text in column.head(10).to_list() if text), "")
    form = next((form for form in _QUICK[order] if _begins_with(first, form)), None)
    if form is None:
        return None
    width = _width(form)
    shortest, longest = column.str.len_bytes().min(), column.str.len_bytes().max()
    if shortest is None or shortest < width or column.null_count():  # type: ignore[operator]
        return None
    texts = column if longest == width else column.str.head(width)
    parsed = texts.str.to_datetime(form, time_unit="ms", strict=False)
    if parsed.null_count():
        return None
    seconds = parsed.to_physical().cast(pl.Float64).to_numpy() / 1000
    if longest == width:
        return Stamps(seconds, is_instant=False)
    suffix = (_FRACTION if form.endswith("%S") else "") + _SUFFIX
    return _less_offsets(seconds, column.str.slice(width), suffix)


def _begins_with(text: str, form: str) -> bool:
    try:
        datetime.strptime(text[: _width(form)], form)  # noqa: DTZ007 only its form is looked at
    except ValueError:
        return False
    return len(text) >= _width(form)


def _width(form: str) -> int:
    return len(datetime(2000, 10, 10).strftime(form))  # noqa: DTZ001 any day with two digits


def _less_offsets(
    seconds: npt.NDArray[np.float64], suffixes: pl.Series, form: str
) -> Stamps | None:
    """Return the stamps with what is written behind them; None where that is no offset."""
    different = suffixes.unique()
    # A PM or further seconds would be taken for nothing: such stamps are read with care.
    if len(different) > _SUFFIXES_MAX or not different.str.contains(f"^(?:{form})$").all():
        return None
    read = _slow("1970-01-01 00:00:00" + different, "ymd")
    if np.isnan(read.seconds).any():
        return None
    if not read.seconds.any():
        return Stamps(seconds, is_instant=read.is_instant)
    offsets = suffixes.replace_strict(different, pl.Series(read.seconds), return_dtype=pl.Float64)
    return Stamps(seconds + offsets.to_numpy(), is_instant=read.is_instant)


def _slow(column: pl.Series, order: str) -> Stamps:
    groups = column.str.extract_groups(f"^{_DATE[order]}{_TIME}{_OFFSET}$").struct.unnest()
    numbers = groups.with_columns(
        pl.col("y", "m", "d", "h", "mi", "s", "oh", "om").cast(pl.Int64, strict=False)
    )
    hour = pl.col("h").fill_null(0)
    afternoon = pl.col("half").str.to_lowercase()
    hour = (
        pl.when(afternoon == "pm").then(hour % _HALF_DAY_H + _HALF_DAY_H)
        .when(afternoon == "am").then(hour % _HALF_DAY_H)
        .otherwise(hour)
    )  # fmt: skip
    offset_s = (pl.col("oh").fill_null(0) * 3600 + pl.col("om").fill_null(0) * 60) * pl.when(
        pl.col("sign") == "-"
    ).then(-1).otherwise(1)
    carries = pl.col("zulu").is_not_null() | (
        pl.col("sign").is_not_null() & pl.col("oh").is_not_null()
    )
    parts = numbers.select(
        y=pl.when(pl.col("y") < 100).then(pl.col("y") + _CENTURY).otherwise(pl.col("y")),  # noqa: PLR2004
        m=pl.col("m"),
        d=pl.col("d"),
        rest=hour * 3600 + pl.col("mi").fill_null(0) * 60 + pl.col("s").fill_null(0),
        right=(hour <= 24) & (pl.col("mi").fill_null(0) < 60) & (pl.col("s").fill_null(0) < 60),  # noqa: PLR2004
        offset=offset_s,
        carries=carries,
        stray=pl.col("sign").is_null() & pl.col("oh").is_not_null(),
    )
    days = _days(parts)
    fine = parts["right"].fill_null(value=False) & ~parts["stray"].fill_null(value=True)
    seconds = days * 86_400.0 + parts["rest"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    seconds = np.where(fine.to_numpy() & (seconds % 86_400 >= 0), seconds, np.nan)
    known = ~np.isnan(seconds)
    carried = parts["carries"].fill_null(value=False).to_numpy()
    if known.any() and carried[known].all():
        offsets = parts["offset"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return Stamps(seconds - offsets, is_instant=True)
    return Stamps(np.where(carried, np.nan, seconds), is_instant=False)


def _days(parts: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return days since 1970-01-01, NaN where there is no such day; each day is made once."""
    keys = parts.select(key=pl.col("y") * 10_000 + pl.col("m") * 100 + pl.col("d"))["key"]
    unique = keys.unique().drop_nulls()
    numbers = [_day_number(key) for key in unique.to_list()]
    found = keys.replace_strict(
        unique, pl.Series(numbers, dtype=pl.Float64), default=None, return_dtype=pl.Float64
    )
    return found.fill_null(np.nan).to_numpy()


def _day_number(key: int) -> float | None:
    try:
        day = date(key // 10_000, key // 100 % 100, key % 100)
    except ValueError:
        return None
    return float((day - date(1970, 1, 1)).days)
