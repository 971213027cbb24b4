"""The scheduler: what it does at the end, and that a job that fails ends nothing else."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.intake.packet_fields import Packet
from meterbook.jobs import scheduler
from meterbook.jobs.scheduler import JOB_RUNS, Scheduler
from meterbook.storage.database import Database
from meterbook.storage.tables import job_leases


def scheduler_of(database: Database, folder: Path) -> Scheduler:
    return Scheduler(
        database,
        data_dir=folder,
        close_delay_s=1800,
        recovery_days_kept=14,
        silent_intervals=4,
        input_days_kept=400,
    )


def test_at_shutdown_the_open_days_are_written_to_recovery_files_and_leases_given_back(
    database: Database, tmp_path: Path
) -> None:
    now = int(time.time()) // 1800 * 1800
    record_packets(database, [Packet(7, now, 4500)])
    with scheduler_of(database, tmp_path):
        pass
    day = datetime.fromtimestamp(now - 1800, UTC).date()
    stamp = f"{datetime.fromtimestamp(now + 60, UTC):%H:%M}"
    written = json.loads((tmp_path / "recovery" / f"recovery-{day}.json").read_text())
    assert written == {"7": {stamp: 4.5}}
    with database.reading() as connection:
        assert connection.execute(sa.select(job_leases)).all() == []


def test_a_job_that_fails_is_counted_and_the_scheduler_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(scheduler, "write_recovery_files", fail)
    failed = JOB_RUNS.labels("recovery", "failed")._value
    before = failed.get()
    with scheduler_of(database, tmp_path):
        pass
    assert failed.get() == before + 1


def test_a_run_that_begins_late_is_not_left_out(database: Database, tmp_path: Path) -> None:
    with scheduler_of(database, tmp_path) as running:
        jobs = running._scheduler.get_jobs()
        assert jobs
        assert all(job.misfire_grace_time is None for job in jobs)
