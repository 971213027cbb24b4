"""polled measurements: states of channels, health of hosts, solar arrays."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.drop_index("ix_channels_zone_id", table_name="channels")
    op.create_index(
        "ix_channels_zone_interval_s_id", "channels", ["zone", "interval_s", "id"], unique=False
    )
    op.add_column("hosts", sa.Column("rated_power_w", sa.BigInteger(), nullable=True))
    op.add_column("hosts", sa.Column("site_role", sa.Text(), nullable=True))
    _make_channel_states()
    _make_host_health()
    _make_host_failures()
    _make_solar_arrays()
    # Dials and measurements of the moment are kept by the minute, a counter's energy beside them.
    op.execute("UPDATE channels SET interval_s = 60 WHERE counting IN (1, 12)")
    op.execute("""
        INSERT INTO channels (meter_point_id, measurement, flow, counting, unit, interval_s, zone)
        SELECT meter_point_id, measurement, flow, 4, unit, 300, zone FROM channels
        WHERE counting = 1
    """)


def _make_channel_states() -> None:
    op.create_table(
        "channel_states",
        sa.Column("channel_id", _ID, autoincrement=False, nullable=False),
        sa.Column("sampled_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_channel_states_channel_id_channels")
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_channel_states")),
        sqlite_with_rowid=False,
    )


def _make_host_health() -> None:
    op.create_table(
        "host_health",
        sa.Column("host_id", _ID, autoincrement=False, nullable=False),
        sa.Column("attempted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("succeeded_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("failures_in_a_row", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("mean_latency_us", sa.BigInteger(), nullable=True),
        sa.Column("failing", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_host_health_host_id_hosts")
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_health")),
        sqlite_with_rowid=False,
    )


def _make_host_failures() -> None:
    op.create_table(
        "host_failures",
        sa.Column("host_id", _ID, autoincrement=False, nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("polls", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_host_failures_host_id_hosts")
        ),
        sa.PrimaryKeyConstraint("host_id", "failure", name=op.f("pk_host_failures")),
        sqlite_with_rowid=False,
    )


def _make_solar_arrays() -> None:
    op.create_table(
        "solar_arrays",
        sa.Column("id", _ID, nullable=False),
        sa.Column("location_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("peak_w", sa.Integer(), nullable=False),
        sa.Column("tilt_deg", sa.Double(), nullable=False),
        sa.Column("azimuth_deg", sa.Double(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"], ["locations.id"], name=op.f("fk_solar_arrays_location_id_locations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_solar_arrays")),
        sa.UniqueConstraint("location_id", "name", name=op.f("uq_solar_arrays_location_id_name")),
    )
    with op.batch_alter_table("solar_arrays", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_solar_arrays_location_id"), ["location_id"], unique=False
        )
