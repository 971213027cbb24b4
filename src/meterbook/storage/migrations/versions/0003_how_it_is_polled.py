"""how it is polled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ADDED = {
    "meter_models": (
        sa.Column("connect_delay_ms", sa.Integer(), nullable=True),
        sa.Column("timeout_ms", sa.Integer(), nullable=True),
        sa.Column("gap_ms", sa.Integer(), nullable=True),
        sa.Column("block_words_max", sa.SmallInteger(), nullable=True),
        sa.Column("hole_words_max", sa.SmallInteger(), nullable=True),
    ),
    "modbus_registers": (
        sa.Column("scale_address", sa.Integer(), nullable=True),
        sa.Column("word_addresses", sa.Text(), nullable=True),
    ),
    "hosts": (sa.Column("poll_seconds", sa.Integer(), nullable=True),),
}


def upgrade() -> None:
    """Take the step."""
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
