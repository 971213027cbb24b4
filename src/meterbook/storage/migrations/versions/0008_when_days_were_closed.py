"""when days were closed, once for a day's rows; days may be packed from here on."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "ledger_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_ledger_days")),
        sqlite_with_rowid=False,
    )
