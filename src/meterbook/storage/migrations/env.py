"""Alembic's entry: runs on the connection that `storage.migrate` hands in."""

from alembic import context

from meterbook.storage.rollup_tables import region_days

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=region_days.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
