"""The migrations build what tables.py says, on both engines, and know their future."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from meterbook.registry.meters import add_meters, refused_meters
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


def test_a_meter_keeps_its_key_when_keys_get_a_table_of_their_own(plain_database: Database) -> None:
    with plain_database.writing() as connection:  # as 0008 left it
        add_meters(connection, [1, 2], zone="UTC", now=0)
        connection.execute(sa.text("ALTER TABLE meters ADD COLUMN key_hash TEXT"))
        connection.execute(sa.text("UPDATE meters SET key_hash = 'right' WHERE meter_id = 2"))
        connection.execute(sa.text("DROP TABLE meter_keys"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0008'"))

    migrate(plain_database)

    with plain_database.reading() as connection:
        assert refused_meters(connection, {1, 2}, key_hash=None) == {2}
        assert refused_meters(connection, {1, 2}, key_hash="right") == {1}
        names = [column["name"] for column in sa.inspect(connection).get_columns("meters")]
        assert names == ["meter_id", "first_seen_at"]
