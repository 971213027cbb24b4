"""
The database: one engine that reads, one that writes.

SQLite has one writer at a time. Its write engine therefore has one connection, and who wants it
waits for its turn: fair, in this process, and without SQLITE_BUSY. Other processes wait in
SQLite's own busy timeout. PostgreSQL uses the same two names with ordinary pools.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from meterbook.storage.dialects import DISTRIBUTED, as_database_error, is_distributed
from meterbook.storage.turns import Turns

BUSY_TIMEOUT_MS = 30_000  # longer than any of our transactions, short enough to name a stuck one
PAGE_CACHE_KIB = 65_536  # keeps the right edge of the daybook of a million meters in memory
MMAP_BYTES = 1 << 28  # pages are read without copying; counted as memory of the process
# All that SQLite's build allows: a month of one of a million meters reads 62 pages from all over
# the file, and copying one costs five times what looking at it does.
MMAP_BYTES_TO_READ = 1 << 31
_ALONE_MAX = 3  # one for packets, two for uploads
_NO_BEGIN = "meterbook_no_begin"
LOG_PAGES_MAX = 16_384  # 64 MiB: up to here a job copies the log, beyond it the next commit does


class DatabaseUrlError(ValueError):
    """A database URL that Meterbook cannot use. Never carries the password."""


class NotDurableError(RuntimeError):
    """The engine is set up so that a committed transaction may be lost."""


class Database:
    """Opens connections; knows nothing of what they are for."""

    def __init__(self, url: str, *, readers_max: int = 8, durable: bool = True) -> None:
        """
        Prepare to connect; nothing is opened yet.

        :param durable: False commits without waiting for the disk. Only the control run of the
            crash test and throw-away benchmarks ask for it.
        :raises DatabaseUrlError: if the URL is neither SQLite's nor PostgreSQL's.
        """
        try:
            parsed = sa.make_url(url)
        except (ArgumentError, ValueError):  # a port that is no number is a ValueError
            raise DatabaseUrlError("METERBOOK_DATABASE is not a database URL") from None
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
            raise DatabaseUrlError(
                f"METERBOOK_DATABASE: {parsed.drivername} is not supported; "
                "use sqlite:///FILE or postgresql+psycopg://..."
            )
        self.url = parsed
        self.is_sqlite = parsed.drivername == "sqlite"
        self.durable = durable
        self._turns = Turns(patience_s=BUSY_TIMEOUT_MS / 1000)  # to write to SQLite
        self._writing: SqliteConnection | None = None
        if self.is_sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise DatabaseUrlError("METERBOOK_DATABASE: SQLite needs a file")
            self._reader = _sqlite_engine(
                parsed, pool_size=readers_max, writes=False, durable=durable
            )
            self._writer = _sqlite_engine(parsed, pool_size=1, writes=True, durable=durable)
            self._alone = self._writer
            event.listen(self._writer, "connect", self._remember_writing)
        else:
            self._reader = self._writer = _postgres_engine(parsed, readers_max, durable=durable)
            self._alone = _postgres_engine(parsed, _ALONE_MAX, durable=durable, alone=True)

    @property
    def dialect_name(self) -> str:
        """What `storage.dialects` tells its statements by."""
        return self._writer.dialect.name

    @property
    def sqlite_file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one consistent state and cannot write."""
        with self._reader.connect() as connection, self._snapshot(connection):
            yield connection

    def steady_reader(self) -> "SteadyReader":
        """Return what reads one transaction after the other and keeps its connection meanwhile."""
        return SteadyReader(self._reader.connect, self._snapshot)

    @contextmanager
    def _snapshot(self, connection: sa.Connection) -> Iterator[None]:
        with connection.begin():
            if not self.is_sqlite:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            yield

    @contextmanager
    def writing(self, *, serial: bool = False) -> Iterator[sa.Connection]:
        """
        Give a connection in a transaction: committed to disk at the end, or rolled back.

        :param serial: what the transaction read may not change before it commits; it fails
            instead (on PostgreSQL, see `is_conflict`). SQLite is always serial.
        """
        turn = self._turns if self.is_sqlite else nullcontext()
        with turn, self._writer.connect() as connection, connection.begin():
            if serial and not self.is_sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection

    def run_alone(self, statement: sa.TextClause, parameters: Mapping[str, object]) -> int:
        """
        Run one statement that is a transaction of its own, and return how many rows it stored.

        The shortest way, for what runs all the time. SQLite is asked past SQLAlchemy, which takes
        longer over a statement than SQLite over two packets, and hands Python's lock over once.
        PostgreSQL is asked once: no BEGIN, no COMMIT, no question whether it is still there.
        If it is not, the statement runs again on a new connection, and must bear to have run
        before.

        :raises sqlalchemy.exc.DBAPIError: if the database cannot, as everywhere.
        """
        if self.is_sqlite:
            return self._run_alone_on_sqlite(statement.text, parameters)
        try:
            with self._alone.connect() as connection:
                return connection.execute(statement, parameters).rowcount
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        with self._alone.connect() as connection:
            return connection.execute(statement, parameters).rowcount

    def _run_alone_on_sqlite(self, statement: str, parameters: Mapping[str, object]) -> int:
        with self._turns:
            if self._writing is None:
                self._writer.raw_connection().close()
            direct: Any = self._writing  # of whoever has the turn
            try:
                return int(direct.execute(statement, parameters).rowcount)
            except SqliteError as error:
                raise as_database_error(self._writer.dialect, statement, error) from error

    def _remember_writing(self, connection: SqliteConnection, _record: Any) -> None:
        self._writing = connection

    @contextmanager
    def beside_writer(self) -> Iterator[sa.Connection]:
        """Give an SQLite connection outside any transaction that does not wait for the writer."""
        with self._reader.connect() as connection:
            connection.execution_options(**{_NO_BEGIN: True})
            connection.exec_driver_sql("PRAGMA query_only = OFF")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("PRAGMA query_only = ON")

    def require_durable(self) -> None:
        """
        Make sure that what the database commits stays committed.

        :raises NotDurableError: if PostgreSQL runs with fsync or synchronous_commit off.
        """
        if self.is_sqlite or not self.durable:
            return
        with self.reading() as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                shown = [connection.exec_driver_sql(f"SHOW {setting}").scalar_one()]
                if is_distributed(connection):
                    asked = sa.text("SELECT result FROM run_command_on_workers(:shown)")
                    shown += connection.scalars(asked, {"shown": f"SHOW {setting}"})
                if "off" in shown:
                    raise NotDurableError(f"PostgreSQL runs with {setting} = off")

    def close(self) -> None:
        """Close every connection."""
        self._writing = None
        for engine in (self._reader, self._writer, self._alone):
            engine.dispose()


class SteadyReader:
    """
    Transactions that read, one after the other on one connection; for one thread.

    Taking a connection and giving it back costs more than a question of a few rows.
    """

    def __init__(
        self,
        connect: Callable[[], sa.Connection],
        snapshot: Callable[[sa.Connection], AbstractContextManager[None]],
    ) -> None:
        """Prepare; the first transaction connects."""
        self._connect = connect
        self._snapshot = snapshot
        self._connection: sa.Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give the connection as `Database.reading` does; after any error it is another one."""
        if self._connection is None:
            self._connection = self._connect()
        try:
            with self._snapshot(self._connection):
                yield self._connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _sqlite_engine(url: sa.URL, *, pool_size: int, writes: bool, durable: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # what was stored has no business in an error message
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    def configure(connection: SqliteConnection, _record: Any) -> None:
        # The driver must not begin transactions behind our back; "begin" below does it.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(
            f"PRAGMA cache_size = -{PAGE_CACHE_KIB if writes else PAGE_CACHE_KIB // 8}"
        )
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
        connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES if writes else MMAP_BYTES_TO_READ}")
        if not writes:
            connection.execute("PRAGMA query_only = ON")

    begin_statement = "BEGIN IMMEDIATE" if writes else "BEGIN"

    def begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get(_NO_BEGIN):
            connection.connection.cursor().execute(begin_statement)

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    return engine


def _postgres_engine(
    url: sa.URL, pool_size: int, *, durable: bool, alone: bool = False
) -> sa.Engine:
    """
    Return an engine of PostgreSQL.

    :param alone: every statement is a transaction, and nothing else is sent.
    """
    if alone:
        engine = sa.create_engine(
            url, pool_size=pool_size, max_overflow=0, isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None, hide_parameters=True,
        )  # fmt: skip
    else:
        engine = sa.create_engine(
            url, pool_size=pool_size, max_overflow=4, pool_pre_ping=True, hide_parameters=True
        )
    event.listen(engine, "connect", _note_distribution)
    if not durable:

        def forget_durability(connection: Any, _record: Any) -> None:
            connection.execute("SET synchronous_commit = off")
            connection.commit()

        event.listen(engine, "connect", forget_durability)
    return engine


def _note_distribution(connection: Any, record: Any) -> None:
    if connection.execute("SELECT to_regclass('pg_dist_partition')").fetchone()[0]:
        known = "SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = to_regclass('daybook')"
        record.info[DISTRIBUTED] = bool(connection.execute(known).fetchone()[0])
    connection.commit()


def is_conflict(error: BaseException) -> bool:
    """Say whether the transaction lost against another one and only needs to be run again."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state in {"40001", "40P01", "23505"}  # serialization, deadlock, unique


def is_node_away(error: BaseException) -> bool:
    """
    Say whether a node of a cluster is away while the coordinator, whom we asked, is there.

    The states are PostgreSQL's of lost connections, class 08, and of servers that end, 57P01 to
    57P03; Citus passes on those of its nodes.
    """
    if not isinstance(error, DBAPIError) or error.connection_invalidated:
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith("08") or state in {"57P01", "57P02", "57P03"}


def is_unreachable(error: BaseException) -> bool:
    """Say whether the error is of the database's being away or full, not of the statement."""
    return isinstance(error, (DBAPIError, OSError, sa.exc.TimeoutError)) and not isinstance(
        error, (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError)
    )
