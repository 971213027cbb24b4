"""The scheduler: what it does at the end, and that a job that fails ends nothing else."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.intake.packet_fields import Packet
from meterbook.jobs import pace as pacing
from meterbook.jobs import scheduler
from meterbook.jobs.pace import Pace
from meterbook.jobs.regions import RegionUpkeep
from meterbook.jobs.scheduler import JOB_RUNS, Scheduler
from meterbook.storage.database import Database
from meterbook.storage.tables import job_leases

WAIT_S_MAX = 30


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


@pytest.mark.parametrize("hands_over", [False, True])
def test_work_that_rests_ends_with_its_process(
    sqlite_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hands_over: bool,
) -> None:
    monkeypatch.setattr(scheduler, "FIRST_REGIONS_S", 0)
    monkeypatch.setattr(pacing, "REST", 1_000_000)
    rests, ended = threading.Event(), threading.Event()

    def work(_upkeep: RegionUpkeep, *, now: int, pace: Pace) -> None:
        assert now
        pace.begin()
        while not pace.is_over():
            pass
        rests.set()
        assert not pace.may_go_on()
        ended.set()

    monkeypatch.setattr(RegionUpkeep, "run", work)
    with scheduler_of(sqlite_database, tmp_path) as started:
        assert rests.wait(WAIT_S_MAX)
        if hands_over:
            started.hand_over()
            assert ended.wait(WAIT_S_MAX)
    assert ended.is_set()
