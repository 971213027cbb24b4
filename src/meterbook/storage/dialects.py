"""
The few statements that differ between SQLite, PostgreSQL and Citus.

A batch reaches the database as one parameter, a JSON text on SQLite and arrays on PostgreSQL,
so that a statement hands Python's lock over once and not once a row.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

_UNIQUE_VIOLATION = "23505"  # SQLSTATE
_KEY_OF_DETAIL = re.compile(r"\(([^()]+)\)=\(")  # Key (scheme, name)=(nmi, 6) already exists.

DISTRIBUTED = "meterbook_distributed"  # what a connection knows of its database

Rows = Sequence[Sequence[object]]


def batch(
    connection: sa.Connection, *, columns: Mapping[str, str], rows: Rows
) -> tuple[str, dict[str, object]]:
    """
    Return what to write after FROM to read the rows as a table, and its parameters.

    :param columns: name to PostgreSQL type, in the order of each row's items; trusted text.
    :param rows: integers, texts and nulls, shape (n, len(columns)).
    """
    name = connection.dialect.name
    return batch_source(name, columns=columns), batch_parameters(name, columns=columns, rows=rows)


def batch_source(dialect_name: str, *, columns: Mapping[str, str]) -> str:
    """Return the table of a batch, to write after FROM; the same for every batch."""
    if dialect_name == "sqlite":
        picked = ", ".join(f"value ->> {i} AS {name}" for i, name in enumerate(columns))
        return f"(SELECT {picked} FROM json_each(:batch)) AS batch"  # noqa: S608 our names
    arrays = ", ".join(f"CAST(:batch_{name} AS {kind}[])" for name, kind in columns.items())
    # Citus gives every column of a joined unnest the type of the first, unless it is wrapped.
    return f"(SELECT * FROM unnest({arrays}) AS given({', '.join(columns)})) AS batch"  # noqa: S608 our names


def batch_parameters(
    dialect_name: str, *, columns: Mapping[str, str], rows: Rows
) -> dict[str, object]:
    """Return the parameters that put the rows into `batch_source`."""
    if dialect_name == "sqlite":
        return {"batch": msgspec.json.encode(rows).decode()}
    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    return {f"batch_{name}": list(items) for name, items in zip(columns, by_column, strict=True)}


def among(connection: sa.Connection, column: str, *, name: str = "ids") -> str:
    """Return the condition that the column is one of the numbers in the parameter `name`."""
    if connection.dialect.name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 our names
    return f"{column} = ANY(CAST(:{name} AS bigint[]))"


def numbers(connection: sa.Connection, items: Sequence[int]) -> str | list[int]:
    """Return what the parameter of `among` or `number_source` holds."""
    plain = list(items)
    return msgspec.json.encode(plain).decode() if connection.dialect.name == "sqlite" else plain


def number_source(dialect_name: str, *, name: str) -> str:
    """Return a table of that name to write after FROM: the parameter's `numbers`, as `value`."""
    if dialect_name == "sqlite":
        return f"json_each(:{name}) AS {name}"
    return f"unnest(CAST(:{name} AS bigint[])) AS {name}(value)"


def joined(dialect_name: str, *columns: str) -> str:
    """
    Return the columns, each as one text with commas.

    A few texts instead of n rows: the engines join digits faster than Python makes tuples, and
    SQLite hands Python's lock over once instead of n times.
    """
    if dialect_name == "sqlite":
        return ", ".join(f"group_concat({column})" for column in columns)
    return ", ".join(f"string_agg(CAST({column} AS text), ',')" for column in columns)


def is_distributed(connection: sa.Connection) -> bool:
    """Say whether the books are spread over the nodes of a Citus cluster."""
    return bool(connection.info.get(DISTRIBUTED))


def new_ids(connection: sa.Connection, table: sa.Table, count: int) -> range | list[int]:
    """Return ids for so many new rows of a table; the caller's transaction inserts them."""
    if connection.dialect.name == "sqlite":
        highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
        return range(highest + 1, highest + 1 + count)
    wanted = sa.text("""
        SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)
    """)
    return list(connection.scalars(wanted, {"name": table.name, "count": count}))


def insert_rows(
    connection: sa.Connection, table: sa.Table, rows: Rows, *, columns: Sequence[str] = ()
) -> None:
    """
    Insert rows the fastest way the engine has.

    :param columns: what each row holds, in its order; default: every column of the table.
    :raises sqlalchemy.exc.IntegrityError: if a key is there already.
    """
    if not rows:
        return
    wanted = columns or [column.name for column in table.columns]
    names = ", ".join(wanted)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(wanted))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 our own names
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
        return
    cursor: Any = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_database_error(connection.dialect, f"COPY {table.name}", error) from error
    finally:
        cursor.close()


def as_database_error(
    dialect: sa.Dialect, statement: str, error: Exception
) -> sa.exc.DBAPIError | sa.exc.StatementError:
    """Return what the driver raised as SQLAlchemy says it, without any parameters."""
    return sa.exc.DBAPIError.instance(
        statement, None, error, dialect.loaded_dbapi.Error, dialect=dialect
    )


def row_lock(connection: sa.Connection) -> str:
    """Return what to write after a SELECT so that its rows stand still; SQLite has one writer."""
    return "" if connection.dialect.name == "sqlite" else "FOR UPDATE"


def hold_until_commit(connection: sa.Connection, *, lock_number: int) -> None:
    """Let one transaction at a time go on from here; SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_number)))


def hold_table(connection: sa.Connection, table: sa.Table, *, alone: bool) -> None:
    """
    Keep those out that hold the table alone, or with alone everybody who holds or writes it.

    Must come before the transaction's first question, so that what it sees is what it waited for.
    SQLite has one writer anyway.
    """
    if connection.dialect.name != "sqlite":
        mode = "SHARE ROW EXCLUSIVE" if alone else "ROW EXCLUSIVE"
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN {mode} MODE")


def taken_columns(error: sa.exc.IntegrityError) -> tuple[str, ...]:
    """Return the columns whose values another row has already; none if it is not about that."""
    text = str(error.orig)
    if text.startswith("UNIQUE constraint failed: "):
        names = text.removeprefix("UNIQUE constraint failed: ").split(", ")
        return tuple(name.rpartition(".")[2] for name in names)
    diagnosis = getattr(error.orig, "diag", None)
    if getattr(error.orig, "sqlstate", None) != _UNIQUE_VIOLATION or diagnosis is None:
        return ()
    # Not by the constraint's name: on Citus it is the name of a shard's.
    found = _KEY_OF_DETAIL.search(diagnosis.message_detail or "")
    return tuple(found[1].split(", ")) if found else ()
