"""Leases: of many processes, one runs a job."""

from meterbook.jobs.leases import end_lease, take_lease
from meterbook.storage.database import Database


def take(database: Database, holder: str, *, now: int, job: str = "close-days") -> bool:
    with database.writing() as connection:
        return take_lease(connection, job=job, holder=holder, now=now, valid_s=60)


def test_one_holder_at_a_time_and_the_next_when_the_lease_has_run_out(database: Database) -> None:
    assert take(database, "a", now=1000)
    assert not take(database, "b", now=1059)
    assert take(database, "b", now=1060)
    assert not take(database, "a", now=1061)


def test_the_holder_renews_its_lease(database: Database) -> None:
    assert take(database, "a", now=1000)
    assert take(database, "a", now=1050)
    assert not take(database, "b", now=1100)


def test_each_job_has_a_lease_of_its_own(database: Database) -> None:
    assert take(database, "a", now=1000, job="close-days")
    assert take(database, "b", now=1000, job="recovery")


def test_a_lease_given_back_is_free_at_once(database: Database) -> None:
    assert take(database, "a", now=1000)
    with database.writing() as connection:
        end_lease(connection, job="close-days", holder="b")
    assert not take(database, "b", now=1001)
    with database.writing() as connection:
        end_lease(connection, job="close-days", holder="a")
    assert take(database, "b", now=1001)


def test_a_lease_that_a_clock_took_that_was_years_ahead_does_not_last_for_years(
    database: Database,
) -> None:
    assert take(database, "a", now=1_000_000_000)
    assert take(database, "b", now=1000)
    assert not take(database, "a", now=1001)
