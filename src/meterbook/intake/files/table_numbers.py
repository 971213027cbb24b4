"""The numbers of a table's columns, as text with a decimal point or comma, or typed."""

import numpy as np
import numpy.typing as npt
import polars as pl

from meterbook.intake.files.csv_guess import EMPTY

_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?$"
Mask = npt.NDArray[np.bool_]


def numbers_of(column: pl.Series, decimal: str) -> tuple[npt.NDArray[np.float64], Mask]:
    """Return the numbers of a column, NaN where there is none, and which fields are empty."""
    if column.dtype != pl.String:
        if not column.dtype.is_numeric():
            column = pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
            return column.to_numpy(), np.zeros(len(column), dtype=bool)
        numbers = column.cast(pl.Float64).fill_nan(None)
        return numbers.fill_null(np.nan).to_numpy(), numbers.is_null().to_numpy()
    texts = column
    if decimal == ",":
        wrong = texts.str.contains(".", literal=True) & ~texts.str.contains(_THOUSANDS)
        texts = texts.set(wrong.fill_null(value=False), None)
        texts = texts.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    found = texts.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    if not np.isnan(found).any():
        return found, np.zeros(len(found), dtype=bool)
    empty = column.fill_null("").str.to_lowercase().is_in(list(EMPTY)).to_numpy()
    return found, empty
