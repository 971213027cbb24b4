"""regional roll-ups."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Take the step; `meterbook rollups rebuild` counts the days that are closed already."""
    op.create_table(
        "region_days",
        *_key(),
        *_sums(),
        sa.PrimaryKeyConstraint("day", "zone", "region", name=op.f("pk_region_days")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "region_day_changes",
        sa.Column("id", _ID, nullable=False),
        *_key(),
        *_sums(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region_day_changes")),
    )
    op.create_index("ix_region_day_changes_day", "region_day_changes", ["day"])
    op.create_table(
        "region_half_hours",
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        *_key(),
        sa.Column("energy", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.BigInteger(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("starts_at", "zone", "region", name=op.f("pk_region_half_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "region_meters",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("since_day", sa.Integer(), nullable=False),
        sa.Column("channels", sa.BigInteger(), nullable=False),
        sa.Column("unclaimed", sa.BigInteger(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("region", "zone", "since_day", name=op.f("pk_region_meters")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "silent_channels",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("last_starts_at", sa.BigInteger(), nullable=True),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_silent_channels")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_silent_channels_region"), "silent_channels", ["region"])


def _key() -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
    ]


def _sums() -> list[sa.Column[int] | sa.Column[bytes]]:
    numbers = ("energy", "channels", "known", "missing", "estimated")
    return [
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in numbers),
        *(
            sa.Column(name, sa.LargeBinary(), nullable=False)
            for name in ("half_hours", "reporting")
        ),
    ]


def downgrade() -> None:
    """Take the step back; nothing is lost, the books hold it all."""
    for table in (
        "silent_channels",
        "region_meters",
        "region_half_hours",
        "region_day_changes",
        "region_days",
    ):
        op.drop_table(table)
