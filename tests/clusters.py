"""
Empty, distributed databases on the Citus cluster that METERBOOK_TEST_CITUS names.

    METERBOOK_TEST_CITUS=postgresql://postgres@coordinator:5432/postgres make test

Its user makes databases on every node, and the nodes' names and ports, as `pg_dist_node` of that
database lists them, are reachable from here. A database takes seconds to make, so tests use the
same ones again: emptied, with numbers from 1 on.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa

from meterbook.storage.database import Database
from meterbook.storage.distribution import distribute
from meterbook.storage.metadata import metadata
from meterbook.storage.migrate import migrate

PRETENDED = "pretended"  # a PostgreSQL that passes for a coordinator, see pretended_citus
SHARDS = 8
Server = psycopg.Connection[tuple[Any, ...]]


def citus_url() -> str | None:
    """Return the coordinator's URL; None where there is no cluster."""
    told = os.environ.get("METERBOOK_TEST_CITUS", "")
    return None if told in {"", PRETENDED} else told


class _Node(NamedTuple):
    group: int
    name: str
    port: int
    holds_shards: bool


class Cluster:
    """Gives databases of one cluster, and takes them back."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._free: list[str] = []
        self._made: list[str] = []
        with self._connection() as server:
            rows = server.execute(
                "SELECT groupid, nodename, nodeport, shouldhaveshards FROM pg_dist_node"
                " WHERE isactive AND noderole = 'primary' ORDER BY groupid"
            ).fetchall()
        self._nodes = [_Node(*row) for row in rows]

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty, distributed database of the caller's own."""
        name = self._free.pop() if self._free else self._new()
        try:
            yield self._database_url(name)
        finally:
            self._empty(name)
            self._free.append(name)

    def close(self) -> None:
        """Drop what was made."""
        for name in self._made:
            for server in self._servers():
                with server, suppress(psycopg.Error):
                    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def _new(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        for server in self._servers():
            with server:
                # Else the coordinator would make it on the workers too, where the version can.
                with suppress(psycopg.Error):
                    server.execute("SET citus.enable_create_database_propagation = off")
                server.execute(f'CREATE DATABASE "{name}"'.encode())
        self._made.append(name)
        for node in self._workers():
            with self._connection(name, node) as server:
                server.execute("CREATE EXTENSION IF NOT EXISTS citus")
        with self._connection(name) as server:
            server.execute("CREATE EXTENSION IF NOT EXISTS citus")
            self._join(server)
        database = Database(self._database_url(name))
        migrate(database)
        distribute(database, shards=SHARDS)
        database.close()
        return name

    def _join(self, server: Server) -> None:
        heads = [node for node in self._nodes if node.group == 0]
        head = heads[0] if heads else _Node(0, "localhost", server.info.port, not self._workers())
        server.execute("SELECT citus_set_coordinator_host(%s, %s)", (head.name, head.port))
        for node in self._workers():
            server.execute("SELECT citus_add_node(%s, %s)", (node.name, node.port))
        if head.holds_shards:
            server.execute(
                "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', true)",
                (head.name, head.port),
            )

    def _empty(self, name: str) -> None:
        with self._connection(name) as server:
            empty(server)

    def _workers(self) -> Sequence[_Node]:
        return [node for node in self._nodes if node.group]

    def _servers(self) -> Iterator[Server]:
        yield self._connection()
        for node in self._workers():
            yield self._connection(node=node)

    def _connection(self, name: str = "", node: _Node | None = None) -> Server:
        url = self._url.set(drivername="postgresql")
        if name:
            url = url.set(database=name)
        if node is not None:
            url = url.set(host=node.name, port=node.port)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def _database_url(self, name: str) -> str:
        url = self._url.set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)


def empty(server: Server) -> None:
    """Take every row out of a distributed database, and let numbers begin with 1 again."""
    server.execute("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend'
    """)
    server.execute("SELECT recover_prepared_transactions()")
    # The audit log's trigger, which keeps anybody else from doing this.
    server.execute("SET session_replication_role = replica")
    for table in reversed(metadata.sorted_tables):
        one: sa.Select[int] = sa.select(sa.literal_column("1", sa.Integer)).select_from(table)
        if server.execute(_text(one.limit(1))).fetchone():
            server.execute(_text(sa.delete(table)))
        if "id" in table.c:
            asked = (table.name,)
            server.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1, false)", asked)


def _text(statement: sa.ClauseElement) -> bytes:
    return str(statement.compile(compile_kwargs={"literal_binds": True})).encode()
