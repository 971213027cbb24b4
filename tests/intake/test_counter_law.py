"""
The law of counters through recorder, event and close: what the closed days say is what flowed.

A steady power makes it sharp: each interval holds exactly five minutes of it or is missing, and
missing are only those in which a counter was reset and nobody told what it had shown.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meterbook import ledger
from meterbook.counter_events import CounterEvent, record_counter_event
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number, local_day
from meterbook.domain.readings import Counting
from meterbook.intake.host_recorder import HostRecorder
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.tables import channels
from polled import IMPORTED, MIDNIGHT, home, poll

FIRST_DIAL = 5_000_000
SPIKE = 1_160  # above the true dial: two samples more do not reach it, and it could be true
FALL = 500_000  # of each reset: more than any run before it is believed can climb
DAYS = 4
UTC = ZoneInfo("UTC")
NOW = MIDNIGHT + 10**6
Deeds = list[tuple[str, int]]
deeds_of_a_meter = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 60)),
        st.tuples(st.just("glitch"), st.sampled_from([0, 2**32 - 1])),
        st.tuples(st.just("spike"), st.booleans()),
        st.tuples(st.just("outage"), st.integers(1, 400)),
        st.tuples(st.just("again"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
        st.tuples(st.just("reset"), st.just(15)),
        st.tuples(st.just("exchange"), st.sampled_from([0, 1, 4, 15, 40])),
    ),
    max_size=8,
)


class PlayedMeter:
    """A meter read by the minute through all that, into the books of a database."""

    def __init__(self, database: Database, *, power: int, per_batch: int) -> None:
        self.power = power
        """Wh a minute, even."""
        self.minute = 0
        self.unknown: list[tuple[float, int]] = []
        """From the last sample before a reset to the first after it, in minutes."""
        self._database = database
        self._per_batch = per_batch
        [self._host_id] = home(database).hosts
        self._recorder = HostRecorder(database)
        self._waiting: list[tuple[int, int]] = []
        self._delivered: list[tuple[int, int]] = []
        self._shown_at_first = FIRST_DIAL
        self._resets = 0
        self._known_until = 0.0

    def play(self, deeds: Deeds) -> None:
        """Let it all happen, and close every day at the end."""
        for kind, amount in [("run", 15), *deeds, ("run", 15), ("close", 0)]:
            match kind:
                case "run":
                    self._run(amount)
                case "glitch":
                    self._read(amount)
                case "spike":
                    self._read(self._shown_at_first + self.power * self.minute + SPIKE)
                    if amount:
                        self._close()
                    self._run(2)
                case "outage":
                    self.minute += amount
                case "again":
                    self._waiting += self._delivered[-3:]
                case "close":
                    self._close()
                case "reset":
                    self._begin_anew()
                    self.unknown.append((self._known_until, self.minute))
                    self._run(amount)
                case _:
                    self._exchange(told_after=amount)

    def _run(self, minutes: int) -> None:
        for _ in range(minutes):
            self._known_until = self.minute
            self._read(self._shown_at_first + self.power * self.minute)

    def _read(self, dial: int) -> None:
        self._waiting.append((self.minute, dial))
        self.minute += 1
        if len(self._waiting) >= self._per_batch:
            self._deliver()

    def _deliver(self) -> None:
        self._recorder.record(
            [
                poll(self._host_id, MIDNIGHT + 60 * minute, {IMPORTED: dial})
                for minute, dial in self._waiting
            ]
        )
        self._delivered, self._waiting = self._waiting, []

    def _close(self) -> None:
        self._deliver()
        for offset in range(DAYS):
            day = local_day(MIDNIGHT, UTC) + timedelta(days=offset)
            close_day(self._database, day=day, zone=UTC, now=NOW)

    def _begin_anew(self) -> None:
        self._resets += 1
        self._shown_at_first = FIRST_DIAL - FALL * self._resets - self.power * self.minute

    def _exchange(self, *, told_after: int) -> None:
        """Exchange it half a minute after the last minute, and tell so some polls later."""
        half = self.power // 2
        final = self._shown_at_first + self.power * self.minute - half
        self._begin_anew()
        told = CounterEvent(
            host=self._host_id,
            measurement=IMPORTED,
            at=MIDNIGHT + 60 * self.minute - 30,
            final=final,
            first=self._shown_at_first + self.power * self.minute - half,
            reason="exchanged",
        )
        self._known_until = self.minute - 0.5
        self._run(told_after)
        self._deliver()
        with self._database.writing() as connection:
            record_counter_event(connection, told, by=None, now=NOW)


def closed_intervals(database: Database) -> dict[int, int]:
    """Return what the closed days have of each interval, by its first minute."""
    first = day_number(local_day(MIDNIGHT, UTC))
    with database.reading() as connection:
        channel_id = connection.execute(
            sa.select(channels.c.id).where(
                channels.c.measurement == IMPORTED, channels.c.counting == int(Counting.INTERVAL)
            )
        ).scalar_one()
        days = ledger.days_of_channel(
            connection, channel_id=channel_id, first_day=first, end_day=first + DAYS
        )
        return {
            (closed.day - first) * 1440 + 5 * at: amount
            for closed in days
            for at, amount in enumerate(closed.intervals)
            if amount is not None
        }


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(deeds_of_a_meter, st.integers(1, 250), st.integers(1, 40))
@example([("exchange", 40), ("outage", 300), ("reset", 15), ("glitch", 0), ("exchange", 4)], 7, 3)
@example([("exchange", 0), ("close", 0), ("again", 0), ("exchange", 15), ("run", 9)], 250, 40)
@example([("run", 5), ("spike", True), ("again", 0), ("run", 1), ("spike", False)], 250, 1)
def test_closed_days_say_what_flowed_wherever_the_counter_or_somebody_tells_it(
    database: Database, deeds: Deeds, half_power: int, per_batch: int
) -> None:
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "audit_entries":
                connection.execute(table.delete())
    meter = PlayedMeter(database, power=2 * half_power, per_batch=per_batch)
    meter.play(deeds)

    ended = range(0, (meter.minute - 1) // 5 * 5, 5)
    assert closed_intervals(database) == {
        start: 5 * meter.power
        for start in ended
        if not any(start < after and start + 5 > before for before, after in meter.unknown)
    }
    with database.reading() as connection:
        assert [found for check in CHECKS.values() for found in check(connection)] == []
