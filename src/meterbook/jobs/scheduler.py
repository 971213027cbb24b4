"""
The scheduler: runs the periodic jobs in threads of the server process.

Every job asks for its lease first, so that one of many processes runs it; a process keeps its
leases while it lives, and another one has them within a minute of its death. A job that fails is
logged, counted and tried again at its next time.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from meterbook.inputs.recording import record_inputs
from meterbook.jobs.close_days import close_ended_days
from meterbook.jobs.leases import end_lease, renew_leases, take_lease
from meterbook.jobs.pace import Pace
from meterbook.jobs.recovery_files import write_recovery_files
from meterbook.jobs.regions import RegionUpkeep
from meterbook.jobs.steady_scheduler import SteadyScheduler
from meterbook.jobs.upkeep import copy_write_ahead_log, forget_old_samples, forget_what_has_run_out
from meterbook.storage.database import Database

CLOSE_EVERY_S = 60
RECOVERY_EVERY_S = 2 * 60 * 60  # the seed's promise: at most two hours of readings at risk
UPKEEP_EVERY_S = 60 * 60
REGIONS_EVERY_S = 60
FIRST_REGIONS_S = 2  # a fresh server shows its regions at once, once it answers
RECORD_INPUTS_EVERY_S = 30
COPY_LOG_EVERY_S = 1  # keeps SQLite's log short enough that a commit never copies much of it
LEASE_S = 45
RENEW_EVERY_S = 10  # four times before a lease runs out: a busy writer may keep us waiting
JOBS = ("close-days", "recovery", "upkeep", "regions", "record-inputs")

# Late is better than left out: by itself APScheduler drops a run that begins a second late, and a
# busy machine would go without its recovery files for two hours more.
JOB_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}

JOB_RUNS = Counter("meterbook_job_runs_total", "Job runs by outcome.", ["job", "outcome"])
_log = structlog.get_logger()


class Scheduler:
    """Runs the jobs from `__enter__` to `__exit__`; the recovery files once more at the end."""

    def __init__(
        self,
        database: Database,
        *,
        data_dir: Path,
        close_delay_s: int,
        recovery_days_kept: int,
        silent_intervals: int,
        input_days_kept: int,
    ) -> None:
        self._database = database
        self._data_dir = data_dir
        self._close_delay_s = close_delay_s
        self._recovery_days_kept = recovery_days_kept
        self._regions = RegionUpkeep(database, silent_intervals=silent_intervals)
        self._input_days_kept = input_days_kept
        self._holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._hands_over = False
        self._ends = threading.Event()  # long work stops where it is
        self._running: set[str] = set()
        self._turn = threading.Lock()  # held where a job begins, ends, or the hand-over begins
        # A run that lasts longer than its interval is no news: work at a pace may.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler = SteadyScheduler(timezone="UTC", job_defaults=JOB_DEFAULTS)

    def __enter__(self) -> Self:
        """Start."""
        add = self._scheduler.add_job
        add(self._run, "interval", ["close-days", self._close_days], seconds=CLOSE_EVERY_S)
        add(self._run, "interval", ["recovery", self._recovery], seconds=RECOVERY_EVERY_S)
        add(self._run, "interval", ["upkeep", self._upkeep], seconds=UPKEEP_EVERY_S)
        add(
            self._run,
            "interval",
            ["regions", self._sum_regions],
            seconds=REGIONS_EVERY_S,
            next_run_time=datetime.now(UTC) + timedelta(seconds=FIRST_REGIONS_S),
        )
        inputs = ["record-inputs", self._record_inputs]
        add(self._run, "interval", inputs, seconds=RECORD_INPUTS_EVERY_S)
        add(self._copy_log, "interval", seconds=COPY_LOG_EVERY_S)
        add(self._renew, "interval", seconds=RENEW_EVERY_S)
        self._scheduler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, let what runs finish, and write the recovery files."""
        self._ends.set()
        self._scheduler.shutdown(wait=True)
        self._run_leased("recovery", self._recovery)
        self._give_up(*JOBS)

    def hand_over(self) -> None:
        """Begin no job from now on; the leases are given back, that of a running job at its end."""
        self._ends.set()
        with self._turn:
            self._hands_over = True
            idle = [job for job in JOBS if job not in self._running]
        if self._scheduler.running:
            threading.Thread(target=self._give_up, args=idle).start()

    def _run(self, job: str, work: Callable[[], None]) -> None:
        with self._turn:
            if self._hands_over:
                return
            self._running.add(job)
        self._run_leased(job, work)
        with self._turn:
            self._running.discard(job)
        if self._hands_over:
            self._give_up(job)

    def _run_leased(self, job: str, work: Callable[[], None]) -> None:
        try:
            if self._is_ours(job):
                work()
                JOB_RUNS.labels(job, "done").inc()
        except Exception as error:  # noqa: BLE001 a job that fails must not end the others
            JOB_RUNS.labels(job, "failed").inc()
            _log.error("job failed", job=job, error=f"{type(error).__name__}: {error}"[:500])

    def _is_ours(self, job: str) -> bool:
        with self._database.writing() as connection:
            return take_lease(
                connection, job=job, holder=self._holder, now=int(time.time()), valid_s=LEASE_S
            )

    def _renew(self) -> None:
        if not self._hands_over:
            with suppress(sa.exc.SQLAlchemyError), self._database.writing() as connection:
                renew_leases(connection, holder=self._holder, now=int(time.time()), valid_s=LEASE_S)

    def _give_up(self, *jobs: str) -> None:
        with suppress(sa.exc.SQLAlchemyError), self._database.writing() as connection:
            for job in jobs:
                end_lease(connection, job=job, holder=self._holder)

    def _close_days(self) -> None:
        close_ended_days(
            self._database,
            now=int(time.time()),
            delay_s=self._close_delay_s,
            still_ours=lambda: not self._hands_over and self._is_ours("close-days"),
        )

    def _recovery(self) -> None:
        write_recovery_files(
            self._database,
            data_dir=self._data_dir,
            now=int(time.time()),
            days_kept=self._recovery_days_kept,
        )

    def _upkeep(self) -> None:
        now = int(time.time())
        forget_what_has_run_out(self._database, now=now)
        forget_old_samples(self._database, now=now, days_kept=self._input_days_kept)

    def _record_inputs(self) -> None:
        record_inputs(self._database, now=int(time.time()))

    def _sum_regions(self) -> None:
        self._regions.run(now=int(time.time()), pace=Pace(self._ends.wait))

    def _copy_log(self) -> None:
        with suppress(sa.exc.SQLAlchemyError):
            copy_write_ahead_log(self._database)
