"""Statements that are transactions of their own, also when the database was away."""

import pytest
import sqlalchemy as sa

from meterbook.storage.database import Database, is_conflict, is_unreachable

_REMEMBER = sa.text("INSERT INTO job_leases (job, holder, expires_at) VALUES (:job, 'h', 0)")


def jobs(database: Database) -> list[str]:
    with database.reading() as connection:
        return sorted(connection.scalars(sa.text("SELECT job FROM job_leases")))


def test_what_it_stored_is_committed_when_it_returns(database: Database) -> None:
    assert database.run_alone(_REMEMBER, {"job": "one"}) == 1
    assert jobs(database) == ["one"]


def test_what_the_database_refuses_is_said_as_everywhere(database: Database) -> None:
    database.run_alone(_REMEMBER, {"job": "one"})
    with pytest.raises(sa.exc.IntegrityError) as twice:
        database.run_alone(_REMEMBER, {"job": "one"})
    assert is_conflict(twice.value) == (not database.is_sqlite)
    with pytest.raises(sa.exc.DBAPIError) as nowhere:
        database.run_alone(sa.text("INSERT INTO nowhere VALUES (:job)"), {"job": "a"})
    assert is_unreachable(nowhere.value) == database.is_sqlite
    assert "'one'" not in str(twice.value)
    assert database.run_alone(_REMEMBER, {"job": "two"}) == 1


def test_a_connection_that_was_ended_meanwhile_is_replaced(database: Database) -> None:
    if database.is_sqlite:  # a file has no connections that another could end
        return
    database.run_alone(_REMEMBER, {"job": "one"})
    with database.writing() as connection:
        ended = connection.scalars(
            sa.text("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
            """)
        ).all()
    assert any(ended)
    assert database.run_alone(_REMEMBER, {"job": "two"}) == 1
    assert jobs(database) == ["one", "two"]
