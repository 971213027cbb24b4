"""
Where each table is on a Citus cluster: spread by channel, whole on every node, or at one place.

Everything of one channel is in shards of one node, so what concerns one channel concerns one node.
The rules of Citus this rests on, with their sources, are in decision 0038.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from meterbook.domain.reading_columns import IntColumn
from meterbook.storage import device_tables, file_tables, rollup_tables, tables  # noqa: F401 all pages
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.migrate import MIGRATION_LOCK

CHANNEL = "channel_id"
SHARDS = 32  # Citus' own default: four nodes of eight cores have one a core


class Distribution(NamedTuple):
    """How a table is cut into shards."""

    column: str
    colocated_with: str | None = None
    """The table whose shards lie beside its own; None: it has its own."""
    key: tuple[str, ...] | None = None
    """The primary key there, where the usual one has not the column."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """That a shard has beside the usual ones."""


# By channel, and samples by input: what grows with the number of readings.
DISTRIBUTED = {
    # Of one channel the shard's rows are found without the slots of all others.
    "daybook": Distribution(CHANNEL, indexes=((CHANNEL, "starts_at"),)),
    "superseded_readings": Distribution(CHANNEL, "daybook", key=("id", CHANNEL)),
    "ledger": Distribution(CHANNEL, "daybook"),
    "ledger_revisions": Distribution(CHANNEL, "daybook"),
    # Written at every poll. Its reference to channels is dropped: Citus would refuse to add a
    # channel in a transaction that has asked several shards.
    "channel_states": Distribution(CHANNEL, "daybook"),
    "input_samples": Distribution("input_id"),
}

# On the coordinator only, because nothing of it is ever joined with a distributed table.
LOCAL = {
    "audit_entries": "triggers keep it append-only, and Citus allows none on other tables",
    "attempts": "written by every sign-in, and one row at a time would lock it on all nodes",
    "job_leases": "a lease is a lock of the moment",
    "region_days": "sums, written by every close under a lock",
    "region_day_changes": "sums, written by every close under a lock",
}

# All others are whole on every node: few rows, written seldom, joined with everything.


class CannotDistributeError(RuntimeError):
    """The database is not a Citus cluster, or one that is not ready."""


def is_reference(table_name: str) -> bool:
    """Say whether a table is whole on every node."""
    return table_name not in DISTRIBUTED and table_name not in LOCAL


def shards_of(connection: sa.Connection, channel_ids: IntColumn) -> IntColumn:
    """Return the number of the daybook's shard that each channel is in; both of shape (n,)."""
    statement = sa.text("""
        SELECT get_shard_id_for_distribution_column('daybook', given.id)
        FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS given(id, place) ORDER BY place
    """)
    found = connection.scalars(statement, {"ids": channel_ids.tolist()})
    return np.fromiter(found, dtype=np.int64, count=len(channel_ids))


def nodes_of(connection: sa.Connection, channel_ids: IntColumn) -> IntColumn:
    """Return the group of the node that each channel is on; both of shape (n,)."""
    shards = shards_of(connection, channel_ids)
    statement = sa.text("""
        SELECT shardid, groupid FROM pg_dist_placement
        WHERE shardid = ANY(CAST(:shards AS bigint[])) ORDER BY placementid
    """)
    found = connection.execute(statement, {"shards": np.unique(shards).tolist()})
    groups: dict[int, int] = {row[0]: row[1] for row in found}
    each = (groups[shard] for shard in shards.tolist())
    return np.fromiter(each, dtype=np.int64, count=len(shards))


def distribute(
    database: Database,
    *,
    shards: int = SHARDS,
    on_table: Callable[[str, str], None] = lambda _table, _what: None,
) -> None:
    """
    Put every table where it belongs on the cluster; what is there already stays as it is.

    One transaction: it is done as a whole or not at all. The servers must be stopped.

    :param shards: into how many parts the distributed tables are cut; for good.
    :param on_table: called with each table and what became of it.
    :raises CannotDistributeError: if this is no Citus cluster, or one without its coordinator.
    """
    if database.is_sqlite:
        raise CannotDistributeError("the book is an SQLite file: only a Citus cluster distributes")
    with database.writing() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        _require_cluster(connection)
        connection.exec_driver_sql("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        present = _placed(connection)
        pending = [t.name for t in metadata.sorted_tables if t.name not in {*present, *LOCAL}]
        kept = _without_references(connection, pending)
        for name in sorted(pending, key=lambda name: (name in DISTRIBUTED, name != "daybook")):
            _place(connection, name, shards=shards)
        for statement in kept:
            connection.exec_driver_sql(statement)
    for table in metadata.sorted_tables:
        on_table(
            table.name, _described(table.name) + (", as before" if table.name in present else "")
        )
    _forget_local_rows(database, [name for name in pending if name in DISTRIBUTED])


def _described(name: str) -> str:
    if name in LOCAL:
        return "on the coordinator"
    return f"distributed by {DISTRIBUTED[name].column}" if name in DISTRIBUTED else "on every node"


def _require_cluster(connection: sa.Connection) -> None:
    if not connection.execute(sa.text("SELECT to_regclass('pg_dist_node')")).scalar():
        raise CannotDistributeError(
            "this PostgreSQL has no Citus: install it on every node, then CREATE EXTENSION citus"
        )
    nodes = connection.execute(
        sa.text("SELECT groupid, shouldhaveshards FROM pg_dist_node WHERE isactive")
    ).all()
    if all(node.groupid for node in nodes):
        raise CannotDistributeError(
            "the coordinator is no node of the cluster: SELECT citus_set_coordinator_host(...)"
        )
    if not any(node.shouldhaveshards for node in nodes):
        raise CannotDistributeError(
            "no node may hold shards: add workers with SELECT citus_add_node(...)"
        )


def _placed(connection: sa.Connection) -> set[str]:
    names = sa.text("""
        SELECT pg_class.relname FROM pg_dist_partition
        JOIN pg_class ON pg_class.oid = pg_dist_partition.logicalrelid
        WHERE pg_dist_partition.partmethod = 'h' OR pg_dist_partition.repmodel = 't'
    """)
    return set(connection.scalars(names))


def _without_references(connection: sa.Connection, pending: Iterable[str]) -> list[str]:
    """Drop the foreign keys of tables that will move; return what brings those back that stay."""
    rows = connection.execute(
        sa.text("""
            SELECT conname, conrelid::regclass::text AS child, pg_get_constraintdef(oid) AS rule
            FROM pg_constraint WHERE contype = 'f'
              AND (conrelid::regclass::text = ANY(CAST(:names AS text[]))
                   OR confrelid::regclass::text = ANY(CAST(:names AS text[])))
            ORDER BY conname
        """),
        {"names": list(pending)},
    ).all()
    for row in rows:
        connection.exec_driver_sql(f'ALTER TABLE {row.child} DROP CONSTRAINT "{row.conname}"')
    return [
        f'ALTER TABLE {row.child} ADD CONSTRAINT "{row.conname}" {row.rule}'
        for row in rows
        if row.child not in DISTRIBUTED
    ]


def _place(connection: sa.Connection, name: str, *, shards: int) -> None:
    how = DISTRIBUTED.get(name)
    if how is None:
        connection.execute(
            sa.text("SELECT create_reference_table(CAST(:name AS regclass))"), {"name": name}
        )
        return
    if how.key is not None:
        rule = metadata.tables[name].primary_key.name
        connection.exec_driver_sql(f'ALTER TABLE {name} DROP CONSTRAINT "{rule}"')
        connection.exec_driver_sql(
            f'ALTER TABLE {name} ADD CONSTRAINT "{rule}" PRIMARY KEY ({", ".join(how.key)})'
        )
    for columns in how.indexes:
        index = f"ix_{name}_{'_'.join(columns)}"
        connection.exec_driver_sql(f"CREATE INDEX {index} ON {name} ({', '.join(columns)})")
    asked: dict[str, Any] = {"name": name, "column": how.column}
    where = "colocate_with => 'none', shard_count => CAST(:shards AS integer)"
    if how.colocated_with:
        where = "colocate_with => CAST(:beside AS text)"
        asked["beside"] = how.colocated_with
    else:
        asked["shards"] = shards
    made = f"create_distributed_table(CAST(:name AS regclass), CAST(:column AS text), {where})"
    connection.execute(sa.text(f"SELECT {made}"), asked)


def _forget_local_rows(database: Database, names: Iterable[str]) -> None:
    """Free what rows took on the coordinator before they were copied to their shards."""
    for name in names:
        with database.writing() as connection:
            freed = sa.text(
                "SELECT truncate_local_data_after_distributing_table(CAST(:name AS regclass))"
            )
            connection.execute(freed, {"name": name})
