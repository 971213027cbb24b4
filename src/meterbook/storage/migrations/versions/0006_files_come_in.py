"""
Files come in: what others call our meters, and what was imported.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "foreign_ids",
        sa.Column("scheme", sa.Text, nullable=False),
        sa.Column("foreign_id", sa.Text, nullable=False),
        sa.Column("meter_id", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scheme", "foreign_id", name="pk_foreign_ids"),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meters.meter_id"], name="fk_foreign_ids_meter_id_meters"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_foreign_ids_meter_id", "foreign_ids", ["meter_id"])
    op.create_table(
        "imports",
        sa.Column("id", _Id, nullable=False),
        sa.Column("account_id", _Id),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_imports_account_id_accounts"
        ),
    )
    op.create_index("ix_imports_account_id", "imports", ["account_id"])
    op.create_index("ix_imports_imported_at", "imports", ["imported_at"])


def downgrade() -> None:
    op.drop_table("imports")
    op.drop_table("foreign_ids")
