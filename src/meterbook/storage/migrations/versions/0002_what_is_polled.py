"""what is polled."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER audit_entries_{verb} BEFORE {verb.upper()} ON audit_entries
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
        """
        for verb in ("update", "delete")
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
        """,
        """
        CREATE TRIGGER audit_entries_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
        """,
    ],
}


def upgrade() -> None:
    """Take the step."""
    _make_attempts()
    _make_audit_entries()
    _make_catalogue_loads()
    _make_measurements()
    _make_meter_models()
    _make_locations()
    _make_modbus_registers()
    _make_hosts()
    _make_host_measurements()
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _make_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("window_starts_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_attempts_window_starts_at"), ["window_starts_at"], unique=False
        )


def _make_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("entry_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entries")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entries_subject"), ["subject"], unique=False)


def _make_catalogue_loads() -> None:
    op.create_table(
        "catalogue_loads",
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_catalogue_loads")),
    )


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_measurements")),
    )


def _make_meter_models() -> None:
    op.create_table(
        "meter_models",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_models")),
        sa.UniqueConstraint("name", name=op.f("uq_meter_models_name")),
    )


def _make_locations() -> None:
    op.create_table(
        "locations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("zip_code", sa.Text(), nullable=False),
        sa.Column("coord_x", sa.Double(), nullable=True),
        sa.Column("coord_y", sa.Double(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_locations_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locations")),
        sa.UniqueConstraint(
            "account_id",
            "street",
            "number",
            "city",
            name=op.f("uq_locations_account_id_street_number_city"),
        ),
    )


def _make_modbus_registers() -> None:
    op.create_table(
        "modbus_registers",
        sa.Column("id", _ID, nullable=False),
        sa.Column("meter_model_id", _ID, nullable=False),
        sa.Column("measurement", sa.Text(), nullable=False),
        sa.Column("address", sa.Integer(), nullable=False),
        sa.Column("function_code", sa.SmallInteger(), nullable=False),
        sa.Column("number_type", sa.SmallInteger(), nullable=False),
        sa.Column("word_order", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measurement"],
            ["measurements.name"],
            name=op.f("fk_modbus_registers_measurement_measurements"),
        ),
        sa.ForeignKeyConstraint(
            ["meter_model_id"],
            ["meter_models.id"],
            name=op.f("fk_modbus_registers_meter_model_id_meter_models"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_modbus_registers")),
        sa.UniqueConstraint(
            "meter_model_id",
            "function_code",
            "address",
            name=op.f("uq_modbus_registers_meter_model_id_function_code_address"),
        ),
        sa.UniqueConstraint(
            "meter_model_id",
            "measurement",
            name=op.f("uq_modbus_registers_meter_model_id_measurement"),
        ),
    )
    with op.batch_alter_table("modbus_registers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_modbus_registers_measurement"), ["measurement"], unique=False
        )


def _make_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("slave_address", sa.SmallInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("location_id", _ID, nullable=False),
        sa.Column("meter_model_id", _ID, nullable=False),
        sa.Column("meter_point_id", _ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_hosts_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["location_id"], ["locations.id"], name=op.f("fk_hosts_location_id_locations")
        ),
        sa.ForeignKeyConstraint(
            ["meter_model_id"],
            ["meter_models.id"],
            name=op.f("fk_hosts_meter_model_id_meter_models"),
        ),
        sa.ForeignKeyConstraint(
            ["meter_point_id"],
            ["meter_points.id"],
            name=op.f("fk_hosts_meter_point_id_meter_points"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
    )
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hosts_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_hosts_location_id"), ["location_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_hosts_meter_model_id"), ["meter_model_id"], unique=False
        )
        batch_op.create_index(
            "uq_hosts_ip_port_slave_address",
            ["ip", "port", "slave_address"],
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )


def _make_host_measurements() -> None:
    op.create_table(
        "host_measurements",
        sa.Column("id", _ID, nullable=False),
        sa.Column("host_id", _ID, nullable=False),
        sa.Column("measurement", sa.Text(), nullable=False),
        sa.Column("channel_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_host_measurements_channel_id_channels")
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_host_measurements_host_id_hosts")
        ),
        sa.ForeignKeyConstraint(
            ["measurement"],
            ["measurements.name"],
            name=op.f("fk_host_measurements_measurement_measurements"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_measurements")),
        sa.UniqueConstraint(
            "host_id", "measurement", name=op.f("uq_host_measurements_host_id_measurement")
        ),
    )
    with op.batch_alter_table("host_measurements", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_host_measurements_measurement"), ["measurement"], unique=False
        )
