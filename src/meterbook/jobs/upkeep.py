"""Upkeep of the database: SQLite's write-ahead log, what has run out or grown old."""

import sqlalchemy as sa

from meterbook.registry.attempts import forget_old_attempts
from meterbook.storage.database import Database
from meterbook.storage.device_tables import device_inputs, input_samples
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


def forget_old_samples(database: Database, *, now: int, days_kept: int) -> None:
    """Forget what devices sent long ago, input by input; what is not in the books yet stays."""
    before_ms = (now - days_kept * 86_400) * 1000
    with database.reading() as connection:
        inputs = connection.execute(
            sa.select(device_inputs.c.id, device_inputs.c.record_from_ms)
        ).all()
    for found in inputs:
        until_ms = min(before_ms, found.record_from_ms or before_ms)
        old = (input_samples.c.input_id == found.id) & (input_samples.c.at_ms < until_ms)
        with database.reading() as connection:
            if not connection.execute(sa.select(input_samples.c.at_ms).where(old).limit(1)).first():
                continue
        with database.writing() as connection:
            connection.execute(sa.delete(input_samples).where(old))
