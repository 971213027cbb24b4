"""
Backup and restore: the whole book at one instant, while it is in use.

A backup is a folder: the database (SQLite's own online copy, or pg_dump's), the secret key that
the personal data in it needs, and a manifest with the digest of each file. A restore checks the
digests first, and never overwrites a book.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from meterbook.storage.database import Database
from meterbook.storage.files import written_atomically
from meterbook.storage.tables import accounts, daybook, ledger, meters

MANIFEST = "manifest.json"
SQLITE_COPY = "meterbook.sqlite"
POSTGRES_COPY = "meterbook.pgdump"
_READ_BYTES = 1 << 20
_POSTGRES_FOLDERS = tuple(f"/usr/lib/postgresql/{version}/bin" for version in range(18, 14, -1))


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


def back_up(database: Database, folder: Path, *, key_file: Path | None, now: int) -> Manifest:
    """
    Copy the book into a new folder.

    :param key_file: the secret key to copy with it; None where the key is a setting.
    :raises BackupError: if the folder has something in it, or the copy fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _copied(database, folder, key_file=key_file, now=now)
    except BaseException:
        # Half a backup would only take the room that a full disk lacks, and its folder.
        for leftover in folder.iterdir():
            leftover.unlink(missing_ok=True)
        raise


def _copied(database: Database, folder: Path, *, key_file: Path | None, now: int) -> Manifest:
    with database.reading() as connection:
        schema = MigrationContext.configure(connection).get_current_revision() or ""
    if database.sqlite_file is not None:
        copy = folder / SQLITE_COPY
        with database.beside_writer() as connection:
            # VACUUM INTO reads one snapshot, so writers go on; the copy is one plain file.
            connection.execute(sa.text("VACUUM INTO :copy"), {"copy": str(copy)})
    else:
        copy = folder / POSTGRES_COPY
        _run_postgres_tool(database, "pg_dump", ["--format=custom", f"--file={copy}"])
    _sync(copy)
    digests = {copy.name: _digest(copy)}
    if key_file is not None and key_file.is_file():
        kept = folder / key_file.name
        shutil.copyfile(key_file, kept)
        kept.chmod(0o600)
        _sync(kept)
        digests[kept.name] = _digest(kept)
    manifest = Manifest("sqlite" if database.is_sqlite else "postgresql", schema, now, digests)
    with written_atomically(folder / MANIFEST) as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def restore(database: Database, folder: Path, *, key_file: Path | None) -> Manifest:
    """
    Make the backup the book; the database must be empty or not there.

    :param key_file: where the secret key goes; None where the key is a setting.
    :raises BackupError: if the backup is damaged or of the other engine, or there is a book.
    """
    manifest = read_manifest(folder)
    engine = "sqlite" if database.is_sqlite else "postgresql"
    if manifest.engine != engine:
        raise BackupError(f"the backup is of {manifest.engine}, the database is {engine}")
    if key_file is not None and key_file.name in manifest.digests:
        kept = folder / key_file.name
        if key_file.exists() and key_file.read_bytes() != kept.read_bytes():
            raise BackupError(f"{key_file} is another key than the backup's; move it away first")
    if database.sqlite_file is not None:
        _restore_sqlite(folder / SQLITE_COPY, database.sqlite_file)
    else:
        _restore_postgres(database, folder / POSTGRES_COPY)
    if key_file is not None and key_file.name in manifest.digests and not key_file.exists():
        with written_atomically(key_file) as out:
            out.write((folder / key_file.name).read_bytes())
        key_file.chmod(0o600)
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


def _restore_sqlite(copy: Path, target: Path) -> None:
    if target.exists() and _has_rows(target):
        raise BackupError(f"{target} holds a book already; move it away first")
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    with written_atomically(target) as out, copy.open("rb") as source:
        shutil.copyfileobj(source, out, _READ_BYTES)
    with sqlite3.connect(target) as connection:
        [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    connection.close()
    if verdict != "ok":
        raise BackupError(f"the restored file is damaged: {verdict}")


def _restore_postgres(database: Database, copy: Path) -> None:
    with database.reading() as connection:
        if sa.inspect(connection).get_table_names():
            raise BackupError("the database has tables already; restore into an empty one")
    options = ["--single-transaction", "--exit-on-error", "--no-owner", str(copy)]
    _run_postgres_tool(database, "pg_restore", options)


def _has_rows(file: Path) -> bool:
    database = Database(f"sqlite:///{file}")
    try:
        with database.reading() as connection:
            present = set(sa.inspect(connection).get_table_names())
            return any(
                connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
                for table in (accounts, meters, daybook, ledger)
                if table.name in present
            )
    finally:
        database.close()


def _run_postgres_tool(database: Database, tool: str, options: Sequence[str]) -> None:
    found = shutil.which(tool, path=os.pathsep.join([os.environ["PATH"], *_POSTGRES_FOLDERS]))
    if found is None:
        raise BackupError(f"{tool} is not installed; it comes with PostgreSQL's client programs")
    url = database.url
    host = url.host or str(url.query.get("host", ""))
    environment = {
        **os.environ,
        "PGHOST": host,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": str(url.password or ""),
        "PGDATABASE": url.database or "",
    }
    wanted = {name: setting for name, setting in environment.items() if setting}
    target = [f"--dbname={url.database}"] if tool == "pg_restore" else []
    done = subprocess.run(  # noqa: S603 our own words and the operator's own folder
        [found, *target, *options], env=wanted, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BackupError(f"{tool} failed: {last}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
