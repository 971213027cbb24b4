"""Brings a database to the newest schema; safe to run by several processes at once."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from meterbook.storage.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x4D424F4F  # "MBOO": one migration at a time on a shared PostgreSQL


class SchemaTooNewError(RuntimeError):
    """The database was written by a newer Meterbook."""


def migrate(database: Database) -> None:
    """
    Create or upgrade the schema.

    :raises SchemaTooNewError: if the database has a revision this version does not know.
    """
    if database.sqlite_file is not None:
        database.sqlite_file.parent.mkdir(parents=True, exist_ok=True)
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            # On Citus a change of reference tables and distributed ones together; else unheeded.
            connection.exec_driver_sql("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        current = MigrationContext.configure(connection).get_current_revision()
        known = {
            script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
        }
        if current is not None and current not in known:
            raise SchemaTooNewError("the database was written by a newer version of Meterbook")
        command.upgrade(_config(connection), "head")


def is_current(connection: sa.Connection) -> bool:
    """Say whether the schema is the newest one."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(_config()).get_current_head()


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
