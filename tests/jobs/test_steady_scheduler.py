"""Jobs go on after the clock has jumped: at once, and once."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from meterbook.jobs.scheduler import JOB_DEFAULTS
from meterbook.jobs.steady_scheduler import SteadyScheduler

LONG_S = 60  # nobody waits for it who is not stuck


class CountedTrigger(IntervalTrigger):  # type: ignore[misc] # APScheduler has no types
    """Counts how often it is asked for the next time."""

    asked = 0

    def get_next_fire_time(self, *times: Any) -> Any:
        """Count, and answer as ever."""
        self.asked += 1
        return super().get_next_fire_time(*times)


@pytest.mark.parametrize(
    "jump",
    [timedelta(hours=-1), timedelta(days=-10_000), timedelta(days=2), timedelta(days=30)],
    ids=["an-hour-back", "decades-back", "two-days-ahead", "a-month-ahead"],
)
def test_a_job_runs_at_once_when_the_clock_has_jumped(jump: timedelta) -> None:
    ran = threading.Event()
    trigger = CountedTrigger(seconds=10)
    scheduler = SteadyScheduler(timezone="UTC", job_defaults=JOB_DEFAULTS)
    job = scheduler.add_job(ran.set, trigger)
    scheduler.start(paused=True)
    try:
        job.modify(next_run_time=datetime.now(UTC) - jump)
        scheduler.resume()
        assert ran.wait(LONG_S)
    finally:
        scheduler.shutdown()

    assert trigger.asked < 10  # as often as a run took place, not as often as one was missed
