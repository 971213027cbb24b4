"""Alembic's entry: runs on the connection that `storage.migrate` hands in."""

from alembic import context

from meterbook.storage import (  # noqa: F401 the pages of the schema
    device_tables,
    file_tables,
    rollup_tables,
    tables,
)
from meterbook.storage.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
