"""
A scheduler that a clock which jumps neither stops nor floods.

APScheduler goes by the clock of the wall: set back by an hour, it would run nothing for an hour;
set forward by a year, it would list a year of missed runs, one by one, before it runs the last.
"""

from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler


class SteadyScheduler(BackgroundScheduler):  # type: ignore[misc] # APScheduler has no types
    """Runs jobs every so many seconds, and at once after the clock has jumped."""

    def _process_jobs(self) -> float | None:
        now = datetime.now(UTC)
        for job in self.get_jobs():
            # A next run is due within one interval, or was: further away the clock has moved.
            if abs(job.next_run_time - now) > job.trigger.interval:
                job.modify(next_run_time=now)
        wait_s: float | None = super()._process_jobs()
        return wait_s
