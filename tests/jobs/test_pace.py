"""Long work leaves the machine to others: it rests ten times as long as it works, and can end."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from books import record_packets
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.open_regions import sum_open_days
from meterbook.jobs.pace import PART_S, REST, Pace, unhurried
from meterbook.jobs.regions import RegionUpkeep
from meterbook.queries.fleet_standing import region_standings
from meterbook.storage.database import Database
from meterbook.storage.rollup_tables import region_half_hours

NOON = 1_741_780_800
NOW = NOON + 6 * 3600
HALF_HOURS = 5


class Clock:
    """A clock that moves by what somebody works and waits."""

    def __init__(self, *, ends_after: int | None = None) -> None:
        self.at_s = 100.0
        self.waits: list[float] = []
        self._ends_after = ends_after

    def wait(self, seconds: float) -> bool:
        """Let the time pass, and say whether the process ends."""
        self.waits.append(seconds)
        self.at_s += seconds
        return self._ends_after is not None and len(self.waits) >= self._ends_after

    def pace(self, *, each_look_s: float = 0.0) -> Pace:
        """Give a pace on this clock, which goes on by so much whenever it is looked at."""

        def look() -> float:
            self.at_s += each_look_s
            return self.at_s

        return Pace(self.wait, clock=look)


@given(st.lists(st.floats(0.001, 30), min_size=1, max_size=30))
def test_of_a_long_time_an_eleventh_is_work(parts: list[float]) -> None:
    clock = Clock()
    pace = clock.pace()
    pace.begin()
    for seconds in parts:
        clock.at_s += seconds
        assert pace.may_go_on()
    worked, rested = sum(parts), sum(clock.waits)
    assert REST * (worked - PART_S) - 1e-6 <= rested <= REST * worked + 1e-6


def test_a_part_begun_after_other_work_is_not_that_long() -> None:
    clock = Clock()
    pace = clock.pace()
    clock.at_s += 1000
    pace.begin()
    assert pace.may_go_on()
    assert clock.waits == []


def test_who_was_told_to_end_is_told_so_again() -> None:
    clock = Clock(ends_after=1)
    pace = clock.pace()
    pace.begin()
    clock.at_s += 1
    assert [pace.may_go_on(), pace.may_go_on()] == [False, False]
    assert len(clock.waits) == 1


@pytest.fixture
def half_hours(database: Database) -> Database:
    """Give a book with readings of some half hours of an open day."""
    stamps = [NOON + 1800 * number + 60 for number in range(1, HALF_HOURS + 1)]
    record_packets(database, [Packet(1, stamp, 100) for stamp in stamps])
    return database


def summed(database: Database) -> list[int]:
    """Return the half-hours that regions have sums of."""
    with database.reading() as connection:
        wanted = sa.select(region_half_hours.c.starts_at).order_by(region_half_hours.c.starts_at)
        return list(connection.scalars(wanted))


def test_the_newest_half_hours_are_summed_first_and_the_next_run_does_the_rest(
    half_hours: Database,
) -> None:
    clock = Clock(ends_after=2)
    pace = clock.pace(each_look_s=PART_S * 0.9)  # so that each half hour is a part
    pace.begin()
    marks = sum_open_days(half_hours, marks={}, now=NOW, pace=pace)

    starts = [NOON + 1800 * number for number in range(HALF_HOURS)]
    done = summed(half_hours)
    assert done == starts[-len(done) :]
    assert 0 < len(done) < HALF_HOURS
    assert {start for start, _ in marks} == {*done}

    sum_open_days(half_hours, marks=marks, now=NOW, pace=Clock().pace())
    assert summed(half_hours) == starts


def test_a_server_that_ends_leaves_the_standings_to_the_next(half_hours: Database) -> None:
    def meters_counted_after(pace: Pace) -> int:
        RegionUpkeep(half_hours, silent_intervals=4).run(now=NOW, pace=pace)
        with half_hours.reading() as connection:
            return sum(standing.meters for standing in region_standings(connection))

    assert meters_counted_after(Clock(ends_after=1).pace(each_look_s=1.0)) == 0
    assert meters_counted_after(unhurried()) == 1
