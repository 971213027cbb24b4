"""Statements that are transactions of their own, also when the database was away."""

import threading

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


def test_a_stream_of_statements_lets_others_write(database: Database) -> None:
    is_over = threading.Event()
    stream = threading.Thread(target=run_without_a_pause, args=[database, is_over])
    stream.start()
    try:
        for number in range(20):
            with database.writing() as connection:
                connection.execute(_REMEMBER, {"job": str(number)})
    finally:
        is_over.set()
        stream.join()
    assert {str(number) for number in range(20)} <= {*jobs(database)}


def run_without_a_pause(database: Database, is_over: threading.Event) -> None:
    number = 0
    while not is_over.is_set():
        number += 1
        database.run_alone(_REMEMBER, {"job": f"of the stream {number}"})


def test_a_transaction_and_a_statement_do_not_mix(sqlite_database: Database) -> None:
    stored: list[int] = []
    with sqlite_database.writing() as connection:
        connection.execute(_REMEMBER, {"job": "rolled back"})
        waiting = threading.Thread(
            target=lambda: stored.append(sqlite_database.run_alone(_REMEMBER, {"job": "stays"}))
        )
        waiting.start()
        waiting.join(0.05)
        assert stored == []
        connection.rollback()
    waiting.join()
    assert (stored, jobs(sqlite_database)) == ([1], ["stays"])


def test_a_database_that_was_closed_is_opened_again(database: Database) -> None:
    database.run_alone(_REMEMBER, {"job": "one"})
    database.close()
    assert database.run_alone(_REMEMBER, {"job": "two"}) == 1
    assert jobs(database) == ["one", "two"]
