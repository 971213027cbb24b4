"""Alembic's entry: runs on the connection that `storage.migrate` hands in."""

from alembic import context

from meterbook.storage import file_tables, input_tables, rollup_tables  # noqa: F401 pages of the schema too
from meterbook.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
