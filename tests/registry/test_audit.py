"""The audit log: a chain that shows every change of it, also with many writers at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from meterbook.registry import audit
from meterbook.storage.database import Database

NOW = 1_760_000_000


def fill(database: Database, count: int) -> None:
    def add(number: int) -> None:
        with database.writing() as connection:
            audit.record(
                connection,
                by=number,
                action="change",
                subject=f"hosts/{number}",
                before={"port": 1, "password": "secret", "fin_no": "S1234567D"},
                after={"port": 2, "meter_key": "secret"},
                now=NOW,
            )

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(add, range(count)))


def test_the_chain_holds_with_many_writers_at_once(database: Database) -> None:
    fill(database, 100)
    with database.reading() as connection:
        assert list(audit.broken_links(connection)) == []
        numbers = [entry.number for entry in audit.entries(connection)]
    assert numbers == list(range(100, 0, -1))


def test_secrets_are_left_out_and_fins_masked(database: Database) -> None:
    fill(database, 1)
    with database.reading() as connection:
        [entry] = audit.entries(connection, subject="hosts/0")
    assert entry.before == {"port": 1, "password": "********", "fin_no": "*****567D"}
    assert entry.after == {"port": 2, "meter_key": "********"}


@pytest.mark.parametrize("verb", ["UPDATE audit_entries SET at = 0", "DELETE FROM audit_entries"])
def test_the_log_is_append_only(database: Database, verb: str) -> None:
    fill(database, 2)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as connection:
        connection.exec_driver_sql(verb)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_entries SET account_id = 99 WHERE number = 2",
        "UPDATE audit_entries SET after = '{}' WHERE number = 3",
        "UPDATE audit_entries SET previous_hash = entry_hash WHERE number = 2",
        "DELETE FROM audit_entries WHERE number = 2",
        "DELETE FROM audit_entries WHERE number = 1",
    ],
)
def test_a_change_by_force_is_found(database: Database, damage: str) -> None:
    fill(database, 4)
    with database.writing() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_entries_update")
            connection.exec_driver_sql("DROP TRIGGER audit_entries_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
        connection.exec_driver_sql(damage)
    with database.reading() as connection:
        assert list(audit.broken_links(connection)) != []
