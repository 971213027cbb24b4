"""
Backup and restore: the whole book at one instant, while it is in use.

A backup is a folder: the database (SQLite's own online copy, or pg_dump's), the secret key that
the personal data in it needs, and a manifest with the digest of each file and the rows of each
table. The manifest is written last: without it a folder is no backup. A restore checks the digests
first and the rows at the end, and never overwrites a book.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import msgspec
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from meterbook.storage import postgres_tools
from meterbook.storage.database import Database
from meterbook.storage.device_tables import devices
from meterbook.storage.files import written_atomically
from meterbook.storage.postgres_tools import PostgresToolError
from meterbook.storage.tables import accounts, daybook, ledger, meters

MANIFEST = "manifest.json"
SQLITE_COPY = "meterbook.sqlite"
POSTGRES_COPY = "meterbook.pgdump"
_READ_BYTES = 1 << 20


class BackupError(RuntimeError):
    """A backup that cannot be made, or one that cannot be restored; nothing was changed."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds."""

    engine: str
    schema: str
    created_at: int
    """UTC epoch seconds."""
    digests: dict[str, str]
    """File name to SHA-256."""
    rows: dict[str, int] = {}
    """Table to how many rows it has."""


def back_up(
    database: Database,
    folder: Path,
    *,
    key_file: Path | None,
    now: int,
    examine: Callable[[sa.Connection], None] | None = None,
) -> Manifest:
    """
    Copy the book into a new folder.

    :param key_file: the secret key to copy with it; None where the key is a setting.
    :param examine: is given a connection that sees exactly what was copied.
    :raises BackupError: if the folder has something in it, or the copy fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _fill(database, folder, key_file=key_file, now=now, examine=examine)
    except BaseException as error:
        for file in folder.iterdir():
            file.unlink()
        if isinstance(error, sa.exc.DBAPIError | OSError | PostgresToolError):
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise BackupError(f"no backup in {folder}: {reason}") from error
        raise


def _fill(
    database: Database,
    folder: Path,
    *,
    key_file: Path | None,
    now: int,
    examine: Callable[[sa.Connection], None] | None,
) -> Manifest:
    copying = _sqlite_copy if database.is_sqlite else _postgres_copy
    copy = folder / (SQLITE_COPY if database.is_sqlite else POSTGRES_COPY)
    with copying(database, copy) as copied:
        schema = MigrationContext.configure(copied).get_current_revision() or ""
        rows = _rows(copied)
        if examine is not None:
            examine(copied)
    digests = {copy.name: _digest(copy)}
    if key_file is not None and key_file.is_file():
        kept = folder / key_file.name
        with written_atomically(kept) as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(key_file.read_bytes())
        digests[kept.name] = _digest(kept)
    engine = "sqlite" if database.is_sqlite else "postgresql"
    manifest = Manifest(engine, schema, now, digests, rows)
    with written_atomically(folder / MANIFEST) as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


@contextmanager
def _sqlite_copy(database: Database, copy: Path) -> Iterator[sa.Connection]:
    """Copy the book, and give a connection to the copy."""
    with database.beside_writer() as connection:
        # VACUUM INTO reads one snapshot, so writers go on; the copy is one plain file.
        connection.execute(sa.text("VACUUM INTO :copy"), {"copy": str(copy)})
    copied = Database(f"sqlite:///{copy}")
    try:
        with copied.reading() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if verdict != "ok":
                raise BackupError(f"the copy is damaged: {verdict}")
            yield connection
    finally:
        copied.close()
    _sync(copy)


@contextmanager
def _postgres_copy(database: Database, copy: Path) -> Iterator[sa.Connection]:
    """Copy the book, and give a connection to the same snapshot of it."""
    with database.reading() as connection:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        postgres_tools.dump(database.url, copy, snapshot=snapshot)
        yield connection


def restore(database: Database, folder: Path, *, key_file: Path | None) -> Manifest:
    """
    Make the backup the book; the database must be empty or not there.

    :param key_file: where the secret key goes; None where the key is a setting.
    :raises BackupError: if the backup is damaged or of the other engine, or there is a book, or
        a server that has the empty one open.
    """
    manifest = read_manifest(folder)
    engine = "sqlite" if database.is_sqlite else "postgresql"
    if manifest.engine != engine:
        raise BackupError(f"the backup is of {manifest.engine}, the database is {engine}")
    _require_empty(database)
    brings_key = key_file is not None and key_file.name in manifest.digests
    # The key first: a book without it is worth less than a key without a book.
    with _key_in_place(folder, key_file) if key_file and brings_key else nullcontext():
        try:
            if database.sqlite_file is not None:
                _restore_sqlite(folder / SQLITE_COPY, database.sqlite_file)
            else:
                postgres_tools.load(database.url, folder / POSTGRES_COPY)
        except (OSError, PostgresToolError) as error:
            raise BackupError(f"nothing was restored: {error}") from error
        with database.reading() as connection:
            if manifest.rows and _rows(connection) != manifest.rows:
                raise BackupError("the restored book has other rows than the backup")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """
    Return what the backup holds, after checking that it is whole.

    :raises BackupError: if a file is missing or differs from its digest.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise BackupError(f"{folder} is not a whole backup: no readable {MANIFEST}") from None
    for name, digest in manifest.digests.items():
        file = folder / name
        if not file.is_file() or _digest(file) != digest:
            raise BackupError(f"{file} is missing or damaged")
    return manifest


@contextmanager
def _key_in_place(folder: Path, key_file: Path) -> Iterator[None]:
    key = (folder / key_file.name).read_bytes()
    is_there = key_file.exists()
    if is_there and key_file.read_bytes() != key:
        raise BackupError(f"{key_file} is another key than the backup's; move it away first")
    if not is_there:
        with written_atomically(key_file) as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(key)
    try:
        yield
    except BaseException:
        if not is_there:
            key_file.unlink()
        raise


def _require_empty(database: Database) -> None:
    if database.sqlite_file is not None:
        if database.sqlite_file.exists() and _has_book(database):
            raise BackupError(f"{database.sqlite_file} holds a book already; move it away first")
        database.close()  # what it has open is not the file that will be there
        _require_unused(database.sqlite_file)
        return
    with database.reading() as connection:
        if sa.inspect(connection).get_table_names():
            raise BackupError("the database has tables already; restore into an empty one")


def _require_unused(file: Path) -> None:
    log = file.with_name(f"{file.name}-wal")
    if not file.exists():
        if log.exists() and log.stat().st_size:
            raise BackupError(f"{log} is part of a book that was moved away: move it there first")
        return
    # Whoever has it open would go on writing into the file that is gone, and lose it all.
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # only for who is alone
        except sqlite3.OperationalError as error:
            raise BackupError(f"{file} is in use: stop the server first ({error})") from error


def _has_book(database: Database) -> bool:
    with database.reading() as connection:
        present = set(sa.inspect(connection).get_table_names())
        return any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
            for table in (accounts, meters, daybook, ledger, devices)
            if table.name in present
        )


def _restore_sqlite(copy: Path, target: Path) -> None:
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    with written_atomically(target) as out, copy.open("rb") as source:
        shutil.copyfileobj(source, out, _READ_BYTES)


def _rows(connection: sa.Connection) -> dict[str, int]:
    counted = {}
    for name in sorted(sa.inspect(connection).get_table_names()):
        counting = sa.select(sa.func.count()).select_from(sa.table(name))
        counted[name] = connection.execute(counting).scalar_one()
    return counted


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
