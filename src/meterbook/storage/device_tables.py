"""The page of the schema for what devices send of themselves; `tables` has the rest."""

import sqlalchemy as sa

from meterbook.storage.metadata import Id, metadata

# What a device shows to be known: emoncms keys, InfluxDB tokens, ThingsBoard access tokens.
device_keys = sa.Table(
    "device_keys",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("form", sa.Text, nullable=False),  # registry.device_keys.KeyForm
    sa.Column("key_hash", sa.Text, nullable=False, unique=True),
    sa.Column("key_encrypted", sa.LargeBinary),  # only of keys that decrypt what devices send
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

# Everything that has ever sent a number with a name, claimed or not.
devices = sa.Table(
    "devices",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("scheme", sa.Text, nullable=False),  # emoncms, influxdb, mqtt, ...
    sa.Column("sent_by", sa.BigInteger, nullable=False),  # account of the key; 0: no key
    sa.Column("foreign_id", sa.Text, nullable=False),  # its name in its own world
    sa.Column("account_id", sa.ForeignKey("accounts.id"), index=True),  # null: nobody's yet
    sa.Column("name", sa.Text),
    sa.Column("zone", sa.Text),  # IANA, of its clock and its day; null: the default
    sa.Column("meter_point_id", sa.ForeignKey("meter_points.id")),
    sa.Column("first_seen_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("scheme", "sent_by", "foreign_id"),
)

# One named number of a device; claimed when it has a channel.
device_inputs = sa.Table(
    "device_inputs",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("device_id", sa.ForeignKey("devices.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("first_seen_at", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at", sa.BigInteger, nullable=False),
    sa.Column("last_at_ms", sa.BigInteger),  # null: announced, has sent nothing yet
    sa.Column("last_amount", sa.BigInteger),  # millionths of its own unit
    sa.Column("unit", sa.Text),  # as the device announced it
    sa.Column("suggested", sa.Text),  # what it seems to be: domain.input_mappings.Mapping
    sa.Column("source", sa.Text),  # JSON: where a broker's messages have it, as announced
    sa.Column("mapping", sa.Text),  # what it is; null: nobody has claimed it
    sa.Column("factor", sa.Text),  # Wh or the channel's unit in one of its own: 1000, 1/60
    sa.Column("resets_to_zero", sa.Boolean, nullable=False),
    sa.Column("rated_power_w", sa.BigInteger),  # of a counter; null: what is usual
    sa.Column("length_s", sa.Integer),  # of an interval input's intervals
    sa.Column("channel_id", sa.ForeignKey("channels.id"), index=True),
    sa.Column("claimed_at", sa.BigInteger),
    sa.Column("record_from_ms", sa.BigInteger),  # samples from here on are not in the books yet
    sa.Column("progress", sa.Text),  # JSON: domain.input_counters.CounterProgress
    sa.UniqueConstraint("device_id", "name"),
    sa.Index(
        "ix_device_inputs_to_record",
        "id",
        sqlite_where=sa.text("record_from_ms IS NOT NULL"),
        postgresql_where=sa.text("record_from_ms IS NOT NULL"),
    ),
)

# What inputs sent, as they sent it. By input first, because a claim reads one input from its start.
input_samples = sa.Table(
    "input_samples",
    metadata,
    sa.Column("input_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("amount", sa.BigInteger, nullable=False),  # millionths of the input's unit
    sqlite_with_rowid=False,
)
