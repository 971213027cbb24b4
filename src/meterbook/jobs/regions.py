"""
Regions' figures that no writer keeps: open days, how many meters there are, which are silent.

At most a tenth of the time goes into it.
"""

from meterbook.domain.readings import HALF_HOUR_S
from meterbook.jobs.open_regions import Marks, sum_open_days
from meterbook.jobs.pace import Pace
from meterbook.jobs.region_meters import count_region_meters, region_meters_counted_at
from meterbook.jobs.silent_meters import find_silent_meters
from meterbook.rollups.upkeep import settle_all
from meterbook.storage.database import Database

_STANDINGS_EVERY_S = 5 * 60


class RegionUpkeep:
    """Remembers between runs what was summed already."""

    def __init__(self, database: Database, *, silent_intervals: int) -> None:
        """Prepare; the first run sums everything."""
        self._database = database
        self._silent_intervals = silent_intervals
        self._marks: Marks = {}
        self._half_hour = 0

    def run(self, *, now: int, pace: Pace) -> None:
        """Sum what is due; where the pace does not let it go on, the next run does."""
        pace.begin()
        settle_all(self._database)
        # Once in a half hour everything: a meter that moved leaves no mark on its readings.
        if self._half_hour != now // HALF_HOUR_S:
            self._marks, self._half_hour = {}, now // HALF_HOUR_S
        self._marks = sum_open_days(self._database, marks=self._marks, now=now, pace=pace)
        if self._are_standings_due(now) and pace.may_go_on():
            find_silent_meters(
                self._database, silent_intervals=self._silent_intervals, now=now, pace=pace
            )
            if pace.may_go_on():
                count_region_meters(self._database, now=now)  # last: it says when
        pace.may_go_on()

    def _are_standings_due(self, now: int) -> bool:
        # Asked of the book: one that starts, or takes over, need not do again what was just done.
        with self._database.reading() as connection:
            counted_at = region_meters_counted_at(connection)
        return counted_at is None or not 0 <= now - counted_at < _STANDINGS_EVERY_S
