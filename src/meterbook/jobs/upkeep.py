"""Upkeep of the database: SQLite's write-ahead log, tokens and attempts that have run out."""

import sqlalchemy as sa

from meterbook.registry.attempts import forget_old_attempts
from meterbook.storage.database import Database
from meterbook.storage.tables import tokens


def copy_write_ahead_log(database: Database) -> None:
    """Copy SQLite's log into its file now, beside the writer, so that no commit has to."""
    if database.is_sqlite:
        with database.beside_writer() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def forget_what_has_run_out(database: Database, *, now: int) -> None:
    """Forget tokens and sessions that have run out, and attempts of minutes gone by."""
    with database.writing() as connection:
        forget_old_attempts(connection, now=now)
        connection.execute(sa.delete(tokens).where(tokens.c.expires_at <= now))
