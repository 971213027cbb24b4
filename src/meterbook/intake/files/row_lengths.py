"""How long the intervals of a table's rows are, where nobody says it: the commonest step."""

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.intake.files.parsed import DAY_S

_MINUTES = (1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60, 1440)
_DAY_LENGTHS_S = (82_800, 86_400, 90_000)
_LENGTHS_S = np.array(_MINUTES) * 60
_FEW = 3  # steps of one length that so many rows do not have by chance
_UNSTEADY_S = 30


class OddLengthError(ValueError):
    """Rows follow each other in steps of which Meterbook keeps no intervals."""

    def __init__(self, length_s: int) -> None:
        length = timedelta(seconds=length_s)
        super().__init__(f"begins {str(length).removesuffix(', 0:00:00')} after another: "
                         "no length of interval that is kept")  # fmt: skip


def row_length(instants: IntColumn, group: IntColumn, *, are_days: bool) -> int:
    """
    Return the length of the rows' intervals in seconds.

    :param group: whose rows they are, in any order, shape (n,).
    :param are_days: their stamps are days, without a time.
    :raises OddLengthError: if they are months, or two hours, or the like.
    """
    order = np.lexsort((instants, group))
    steps = np.diff(instants[order])[np.diff(group[order]) == 0]
    lengths, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(lengths):
        return DAY_S if are_days else HALF_HOUR_S
    commonest, count = int(lengths[np.argmax(counts)]), int(counts.max())
    if commonest in _DAY_LENGTHS_S:
        return DAY_S
    nearest = min(_MINUTES, key=lambda m: abs(m * 60 - commonest)) * 60
    is_odd = count >= _FEW and abs(nearest - commonest) > _UNSTEADY_S
    if is_odd or commonest > max(_DAY_LENGTHS_S):
        raise OddLengthError(commonest)
    return nearest


def kept_lengths(lengths: IntColumn, among: npt.NDArray[np.bool_]) -> IntColumn:
    """Return the lengths that intervals may have, 86400 for a local day, 0 for others."""
    days = np.where(np.isin(lengths, _DAY_LENGTHS_S), DAY_S, lengths)
    return np.where(among & np.isin(days, _LENGTHS_S), days, 0)


def are_days_only(column: pl.Series) -> bool:
    """Say whether a column of stamps has no time of day."""
    if column.dtype == pl.String:
        return not column.str.contains(":", literal=True).any()
    return column.dtype == pl.Date
