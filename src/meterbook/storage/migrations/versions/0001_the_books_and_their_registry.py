"""The books and their registry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    _make_accounts()
    _make_day_closes()
    _make_daybook()
    _make_job_leases()
    _make_ledger()
    _make_ledger_revisions()
    _make_meters()
    _make_superseded_readings()
    _make_customers()
    _make_tokens()
    _make_meter_points()
    _make_channels()
    _make_installations()


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deactivated_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "role IN ('household', 'operator', 'admin')", name=op.f("ck_accounts_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
        sa.UniqueConstraint("username", name=op.f("uq_accounts_username")),
    )


def _make_day_closes() -> None:
    op.create_table(
        "day_closes",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("reclosed_at", sa.BigInteger(), nullable=True),
        sa.Column("channel_days", sa.BigInteger(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("revised", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone", "day", name=op.f("pk_day_closes")),
        sqlite_with_rowid=False,
    )


def _make_daybook() -> None:
    op.create_table(
        "daybook",
        sa.Column("starts_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("starts_at", "channel_id", name=op.f("pk_daybook")),
        sqlite_with_rowid=False,
    )


def _make_job_leases() -> None:
    op.create_table(
        "job_leases",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_leases")),
    )


def _make_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("energy", sa.BigInteger(), nullable=False),
        sa.Column("intervals", sa.LargeBinary(), nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("qualities", sa.LargeBinary(), nullable=True),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "channel_id", name=op.f("pk_ledger")),
        sqlite_with_rowid=False,
    )


def _make_ledger_revisions() -> None:
    op.create_table(
        "ledger_revisions",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("energy", sa.BigInteger(), nullable=False),
        sa.Column("intervals", sa.LargeBinary(), nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("qualities", sa.LargeBinary(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("revised_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "day", "revision", name=op.f("pk_ledger_revisions")),
        sqlite_with_rowid=False,
    )


def _make_meters() -> None:
    op.create_table(
        "meters",
        sa.Column("meter_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name=op.f("pk_meters")),
    )


def _make_superseded_readings() -> None:
    op.create_table(
        "superseded_readings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("superseded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_superseded_readings")),
    )
    with op.batch_alter_table("superseded_readings", schema=None) as batch_op:
        batch_op.create_index(
            "ix_superseded_readings_channel_id_starts_at", ["channel_id", "starts_at"], unique=False
        )


def _make_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("name_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("fin_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_customers_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_customers_account_id"), ["account_id"], unique=False)


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("purpose IN ('api', 'session')", name=op.f("ck_tokens_purpose")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_tokens_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_tokens")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_account_id"), ["account_id"], unique=False)


def _make_meter_points() -> None:
    op.create_table(
        "meter_points",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_meter_points_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_meter_points_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_points")),
    )
    with op.batch_alter_table("meter_points", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_meter_points_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_meter_points_customer_id"), ["customer_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_meter_points_region"), ["region"], unique=False)


def _make_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "meter_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("measurement", sa.Text(), nullable=False),
        sa.Column("flow", sa.SmallInteger(), nullable=False),
        sa.Column("counting", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_point_id"],
            ["meter_points.id"],
            name=op.f("fk_channels_meter_point_id_meter_points"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint(
            "meter_point_id",
            "measurement",
            "flow",
            "counting",
            name=op.f("uq_channels_meter_point_id_measurement_flow_counting"),
        ),
    )
    with op.batch_alter_table("channels", schema=None) as batch_op:
        batch_op.create_index("ix_channels_zone_id", ["zone", "id"], unique=False)


def _make_installations() -> None:
    op.create_table(
        "installations",
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("installed_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "meter_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("grid_offset_s", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_installations_channel_id_channels")
        ),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meters.meter_id"], name=op.f("fk_installations_meter_id_meters")
        ),
        sa.ForeignKeyConstraint(
            ["meter_point_id"],
            ["meter_points.id"],
            name=op.f("fk_installations_meter_point_id_meter_points"),
        ),
        sa.PrimaryKeyConstraint("meter_id", "installed_at", name=op.f("pk_installations")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("installations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_installations_channel_id"), ["channel_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_installations_meter_point_id"), ["meter_point_id"], unique=False
        )
