"""Where tables are on Citus: every one is decided, and every decision keeps Citus' rules."""

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from books import record_packets, rows_in
from clusters import empty
from commands import run_command
from meterbook.intake.packet_fields import Packet
from meterbook.registry import audit
from meterbook.storage.database import Database
from meterbook.storage.dialects import is_distributed
from meterbook.storage.distribution import (
    DISTRIBUTED,
    LOCAL,
    CannotDistributeError,
    distribute,
    is_reference,
)
from meterbook.storage.metadata import metadata
from meterbook.storage.tables import audit_entries, channels, daybook
from pretended_citus import pretend_citus

TABLES = [pytest.param(table, id=table.name) for table in metadata.sorted_tables]


def test_decisions_are_of_tables_that_exist_and_say_one_thing_of_each() -> None:
    assert set(DISTRIBUTED) | set(LOCAL) <= set(metadata.tables)
    assert not set(DISTRIBUTED) & set(LOCAL)


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_a_distributed_table_holds_its_column(table: sa.Table) -> None:
    if table.name in DISTRIBUTED:
        how = DISTRIBUTED[table.name]
        primary = how.key or tuple(column.name for column in table.primary_key)
        others = [
            tuple(column.name for column in rule.columns)
            for rule in (*table.constraints, *table.indexes)
            if isinstance(rule, sa.UniqueConstraint) or (isinstance(rule, sa.Index) and rule.unique)
        ]
        assert all(how.column in key for key in (primary, *others))
        beside = metadata.tables[how.colocated_with or table.name]
        its_column = DISTRIBUTED[beside.name].column
        assert isinstance(table.c[how.column].type, type(beside.c[its_column].type))


@pytest.mark.parametrize("table", TABLES)
def test_references_are_only_between_tables_that_are_whole_everywhere(table: sa.Table) -> None:
    for reference in table.foreign_keys:
        assert is_reference(reference.column.table.name)
        assert is_reference(table.name) or table.name == "channel_states"  # dropped there


def _placed(database: Database) -> dict[str, tuple[str, str | None, str | None, int | None]]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql("""
            SELECT logicalrelid::text, partmethod::text, partkey, colocated_with, shard_count
            FROM pg_dist_partition
        """)
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def _references(database: Database) -> set[tuple[str, str]]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql("""
            SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE contype = 'f'
        """)
        return {(row[0], row[1]) for row in rows}


def test_distributing_places_every_table_once(plain_postgres_url: str) -> None:
    pretend_citus(plain_postgres_url)
    database = Database(plain_postgres_url)
    before = _references(database)
    told: dict[str, str] = {}
    distribute(database, shards=8, on_table=lambda name, what: told.update({name: what}))
    placed = _placed(database)
    assert placed["daybook"] == ("h", "channel_id", "none", 8)
    assert placed["ledger"] == ("h", "channel_id", "daybook", None)
    assert placed["input_samples"] == ("h", "input_id", "none", 8)
    assert placed["channels"] == ("n", None, None, None)
    assert set(placed) == set(metadata.tables) - set(LOCAL)
    assert set(told) == set(metadata.tables)
    assert told["audit_entries"] == "on the coordinator"
    assert {child for child, _ in before - _references(database)} == {"channel_states"}
    distribute(database, on_table=lambda name, what: told.update({name: what}))
    assert _placed(database) == placed
    assert told["ledger"] == "distributed by channel_id, as before"
    database.close()
    opened = Database(plain_postgres_url)
    with opened.reading() as connection:
        assert is_distributed(connection)
        keys = sa.inspect(connection)
        assert keys.get_pk_constraint("superseded_readings")["constrained_columns"] == [
            "id", "channel_id",
        ]  # fmt: skip
        assert "ix_daybook_channel_id_starts_at" in {
            index["name"] for index in keys.get_indexes("daybook")
        }
    opened.require_durable()
    opened.close()


def test_a_table_of_a_later_version_is_distributed_by_running_it_again(
    plain_postgres_url: str,
) -> None:
    pretend_citus(plain_postgres_url)
    database = Database(plain_postgres_url)
    distribute(database)
    before = _references(database)
    with database.writing() as connection:
        connection.exec_driver_sql(
            "DELETE FROM pg_dist_partition WHERE logicalrelid = 'imports'::regclass"
        )
    distribute(database)
    assert _placed(database)["imports"] == ("n", None, None, None)
    assert _references(database) == before
    database.close()


@pytest.mark.parametrize(
    ("coordinator", "workers", "reason"),
    [
        pytest.param(False, 2, "the coordinator is no node", id="no coordinator"),
        pytest.param(True, 0, "no node may hold shards", id="no workers"),
    ],
)
def test_an_unready_cluster_is_refused_and_left_as_it_was(
    plain_postgres_url: str, coordinator: bool, workers: int, reason: str
) -> None:
    pretend_citus(plain_postgres_url, coordinator=coordinator, workers=workers)
    database = Database(plain_postgres_url)
    before = _references(database)
    with pytest.raises(CannotDistributeError, match=reason):
        distribute(database)
    assert not _placed(database)
    assert _references(database) == before
    database.close()


def test_what_is_no_cluster_is_refused_in_one_sentence(
    plain_postgres_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    for url, reason in (
        (plain_postgres_url, "this PostgreSQL has no Citus"),
        (sqlite_url, "the book is an SQLite file"),
    ):
        done = run_command("database", "distribute", folder=tmp_path, database_url=url)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert reason in done.stderr


def test_a_database_given_back_to_the_cluster_is_as_new(plain_postgres_url: str) -> None:
    pretend_citus(plain_postgres_url)
    database = Database(plain_postgres_url)
    distribute(database)
    packet = Packet(7, 1_760_000_460, 100)
    for _ in range(2):
        record_packets(database, [packet])
        with database.writing() as connection:
            audit.record(connection, by=None, action="add", subject="meters/7", now=1)
        assert rows_in(database, channels, daybook, audit_entries) == [1, 1, 1]
        with database.reading() as connection:
            assert connection.scalars(sa.select(channels.c.id)).all() == [1]
        database.close()
        with psycopg.connect(plain_postgres_url.replace("+psycopg", ""), autocommit=True) as server:
            empty(server)
        assert rows_in(database, *metadata.sorted_tables) == [0] * len(metadata.sorted_tables)
    database.close()
