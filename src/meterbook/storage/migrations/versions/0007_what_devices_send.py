"""what devices send of themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNRECORDED = sa.text("record_from_ms IS NOT NULL")


def upgrade() -> None:
    """Take the step."""
    _make_device_keys()
    _make_devices()
    _make_device_inputs()
    op.create_table(
        "input_samples",
        sa.Column("input_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("input_id", "at_ms", name=op.f("pk_input_samples")),
        sqlite_with_rowid=False,
    )


def _make_device_keys() -> None:
    op.create_table(
        "device_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("key_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_device_keys_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_device_keys_key_hash")),
    )
    op.create_index(op.f("ix_device_keys_account_id"), "device_keys", ["account_id"])


def _make_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("sent_by", sa.BigInteger(), nullable=False),
        sa.Column("foreign_id", sa.Text(), nullable=False),
        sa.Column("account_id", _ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("meter_point_id", _ID, nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_devices_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["meter_point_id"],
            ["meter_points.id"],
            name=op.f("fk_devices_meter_point_id_meter_points"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint(
            "scheme", "sent_by", "foreign_id", name=op.f("uq_devices_scheme_sent_by_foreign_id")
        ),
    )
    op.create_index(op.f("ix_devices_account_id"), "devices", ["account_id"])


def _make_device_inputs() -> None:
    op.create_table(
        "device_inputs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_amount", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("suggested", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("mapping", sa.Text(), nullable=True),
        sa.Column("factor", sa.Text(), nullable=True),
        sa.Column("resets_to_zero", sa.Boolean(), nullable=False),
        sa.Column("rated_power_w", sa.BigInteger(), nullable=True),
        sa.Column("length_s", sa.Integer(), nullable=True),
        sa.Column("channel_id", _ID, nullable=True),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.Column("record_from_ms", sa.BigInteger(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_inputs_device_id_devices")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_device_inputs_channel_id_channels")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_inputs")),
        sa.UniqueConstraint("device_id", "name", name=op.f("uq_device_inputs_device_id_name")),
    )
    op.create_index(op.f("ix_device_inputs_channel_id"), "device_inputs", ["channel_id"])
    op.create_index(
        "ix_device_inputs_to_record",
        "device_inputs",
        ["id"],
        sqlite_where=_UNRECORDED,
        postgresql_where=_UNRECORDED,
    )
