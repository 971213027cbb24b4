"""
The real homes behind every virtual one: three London homes, half-hourly, the year 2013.

Cut from UK Power Networks' Low Carbon London trial; see sample/ATTRIBUTION.md.
"""

from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from meterbook.domain.readings import HALF_HOUR_S

IntColumn = npt.NDArray[np.int64]
SAMPLE_FILE = Path(__file__).parent / "sample" / "london_2013.parquet"
MISSING = -1
"""What a column of Wh holds where there is no reading; never a reading itself."""
_YEAR_S = 31_556_952  # the calendar's mean year, 365.2425 days
_WEEK_S = 7 * 86_400
_WEEKS = 52


class RealHome(msgspec.Struct, frozen=True):
    """A year of a real home."""

    name: str
    begins_at: int
    """Start of the first half hour, UTC epoch seconds."""
    energy_wh: IntColumn
    """One per half hour from there on; MISSING where the home has none. Shape (17520,)."""

    def energy_at(self, starts_at: IntColumn) -> IntColumn:
        """
        Return the home's energy at those half-hours of any year, in Wh or MISSING, shape (n,).

        Whole weeks lie between a half hour and the real one it takes: weekday and time of day are
        kept, the season is off by a week at most.
        """
        week, into_week_s = np.divmod(starts_at - self.begins_at, _WEEK_S)
        # A year is a day or two longer than 52 weeks: now and then the last week comes twice.
        week_of_year = np.minimum((week * _WEEK_S % _YEAR_S) // _WEEK_S, _WEEKS - 1)
        energy: IntColumn = self.energy_wh[(week_of_year * _WEEK_S + into_week_s) // HALF_HOUR_S]
        return energy


@lru_cache(maxsize=1)
def real_homes() -> tuple[RealHome, ...]:
    """Return the homes of the sample."""
    sample = pl.read_parquet(SAMPLE_FILE)
    begins_at = int(sample["starts_at"][0])
    return tuple(
        RealHome(name, begins_at, sample[name].fill_null(MISSING).cast(pl.Int64).to_numpy())
        for name in sample.columns
        if name != "starts_at"
    )
