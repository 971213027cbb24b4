"""The migrations build what tables.py says, on both engines, and know their future."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from meterbook.storage import device_tables, file_tables, rollup_tables, tables  # noqa: F401
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.migrate import SchemaTooNewError, is_current, migrate


def test_the_migrated_schema_is_the_one_on_the_page(plain_database: Database) -> None:
    with plain_database.reading() as connection:
        assert is_current(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert {"ledger", "region_days", "imports", "devices"} <= set(metadata.tables)
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(plain_database: Database) -> None:
    migrate(plain_database)
    migrate(plain_database)


def test_a_database_of_a_newer_version_is_left_alone(plain_database: Database) -> None:
    with plain_database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError):
        migrate(plain_database)
