"""keys of meters, by themselves: most meters have none."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "meter_keys",
        sa.Column("meter_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meters.meter_id"], name=op.f("fk_meter_keys_meter_id_meters")
        ),
        sa.PrimaryKeyConstraint("meter_id", name=op.f("pk_meter_keys")),
    )
    op.execute("""
        INSERT INTO meter_keys (meter_id, key_hash)
        SELECT meter_id, key_hash FROM meters WHERE key_hash IS NOT NULL
    """)
    op.drop_column("meters", "key_hash")
