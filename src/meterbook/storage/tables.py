"""
The schema on one page: who, what is metered, what is polled, the two books.

Beside it: `device_tables`, what devices send of themselves; `file_tables`, files that came in;
`rollup_tables`, sums over the books.

Instants are UTC epoch seconds, days are days since 1970-01-01, energy is whole Wh, so that both
engines store the same small integers. A test compares this page with what the migrations build.
"""

import sqlalchemy as sa

from meterbook.storage.metadata import Id, metadata

# --- who -------------------------------------------------------------------------------------

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("username", sa.Text, nullable=False, unique=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),  # lower case
    sa.Column("role", sa.Text, nullable=False),  # household, operator, admin
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("deactivated_at", sa.BigInteger),
    sa.CheckConstraint("role IN ('household', 'operator', 'admin')", name="role"),
)

# An API token or a browser session: only the SHA-256 of the secret is here.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("purpose", sa.Text, nullable=False),  # api, session
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.CheckConstraint("purpose IN ('api', 'session')", name="purpose"),
)

# Whom a meter point bills: may exist without an account, as in an imported master database.
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), index=True),
    sa.Column("name_encrypted", sa.LargeBinary),
    sa.Column("fin_encrypted", sa.LargeBinary),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

# --- what is metered ---------------------------------------------------------------------------

meter_points = sa.Table(
    "meter_points",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), index=True),  # null: unclaimed
    sa.Column("customer_id", sa.ForeignKey("customers.id"), index=True),
    sa.Column("name", sa.Text),
    sa.Column("region", sa.Text, index=True),
    sa.Column("zone", sa.Text, nullable=False),  # IANA; fixed once a day is closed
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("claimed_at", sa.BigInteger),
)

# One measured quantity of a meter point, continuous over meter exchange.
channels = sa.Table(
    "channels",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("meter_point_id", sa.ForeignKey("meter_points.id"), nullable=False),
    sa.Column("measurement", sa.Text, nullable=False),  # active_energy, voltage_ac, ...
    sa.Column("flow", sa.SmallInteger, nullable=False),  # domain.readings.Flow
    sa.Column("counting", sa.SmallInteger, nullable=False),  # domain.readings.Counting
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("interval_s", sa.Integer, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),  # the meter point's, here for day_close
    sa.UniqueConstraint("meter_point_id", "measurement", "flow", "counting"),
    sa.Index("ix_channels_zone_interval_s_id", "zone", "interval_s", "id"),
)

# The devices that push packets, known by the number in the packet.
meters = sa.Table(
    "meters",
    metadata,
    sa.Column("meter_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first_seen_at", sa.BigInteger, nullable=False),
)

# A meter without one is believed in trusted networks only, and its packets look into few rows here.
meter_keys = sa.Table(
    "meter_keys",
    metadata,
    sa.Column("meter_id", sa.ForeignKey("meters.meter_id"), primary_key=True, autoincrement=False),
    sa.Column("key_hash", sa.Text, nullable=False),  # SHA-256, or what no key has
)

# A meter at a meter point for a time; a packet goes to the channel of its own time.
installations = sa.Table(
    "installations",
    metadata,
    sa.Column("meter_id", sa.ForeignKey("meters.meter_id"), primary_key=True),
    sa.Column("installed_at", sa.BigInteger, primary_key=True),  # ALWAYS_BEFORE: since ever
    sa.Column("removed_at", sa.BigInteger, nullable=False),  # ALWAYS_AFTER: still there
    sa.Column("meter_point_id", sa.ForeignKey("meter_points.id"), nullable=False, index=True),
    sa.Column("channel_id", sa.ForeignKey("channels.id"), nullable=False, index=True),
    sa.Column("grid_offset_s", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
ALWAYS_BEFORE = 0
ALWAYS_AFTER = 253_402_300_800  # the year 10000

# --- what is polled ----------------------------------------------------------------------------

locations = sa.Table(
    "locations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("street", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("city", sa.Text, nullable=False),
    sa.Column("zip_code", sa.Text, nullable=False),
    sa.Column("coord_x", sa.Double),
    sa.Column("coord_y", sa.Double),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("account_id", "street", "number", "city"),
)

meter_models = sa.Table(
    "meter_models",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("direction", sa.SmallInteger, nullable=False),  # domain.modbus_numbers.Direction
    # What it bears, domain.modbus_numbers.BusLimits; null: the default.
    sa.Column("connect_delay_ms", sa.Integer),
    sa.Column("timeout_ms", sa.Integer),
    sa.Column("gap_ms", sa.Integer),
    sa.Column("block_words_max", sa.SmallInteger),
    sa.Column("hole_words_max", sa.SmallInteger),
)

measurements = sa.Table(
    "measurements",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),  # domain.modbus_numbers.MeasurementKind
)

# Where a model keeps a measurement.
modbus_registers = sa.Table(
    "modbus_registers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("meter_model_id", sa.ForeignKey("meter_models.id"), nullable=False),
    sa.Column("measurement", sa.ForeignKey("measurements.name"), nullable=False, index=True),
    sa.Column("address", sa.Integer, nullable=False),
    sa.Column("function_code", sa.SmallInteger, nullable=False),  # 3 holding, 4 input
    sa.Column("number_type", sa.SmallInteger, nullable=False),  # domain.modbus_numbers.NumberType
    sa.Column("word_order", sa.Text, nullable=False),  # high_first, low_first
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("scale", sa.Text, nullable=False),  # decimal: raw number times this is in `unit`
    sa.Column("missing", sa.Text, nullable=False),  # JSON array of raw integers: no value
    sa.Column("scale_address", sa.Integer),  # of a power of ten, int16, that scales it too
    sa.Column("word_addresses", sa.Text),  # JSON array, highest word first, if they lie apart
    sa.UniqueConstraint("meter_model_id", "measurement"),
    sa.UniqueConstraint("meter_model_id", "function_code", "address"),
)

# What `meterbook catalogue load` has written, so that it knows what an admin changed since.
catalogue_loads = sa.Table(
    "catalogue_loads",
    metadata,
    sa.Column("item", sa.Text, primary_key=True),  # sdm630, sdm630/voltage_ac_l1
    sa.Column("content_hash", sa.Text, nullable=False),
)

# A Modbus device. Its meter point comes with the first measurement assigned to it.
hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("ip", sa.Text, nullable=False),  # IPv4, IPv6 or host name
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("slave_address", sa.SmallInteger, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("location_id", sa.ForeignKey("locations.id"), nullable=False, index=True),
    sa.Column("meter_model_id", sa.ForeignKey("meter_models.id"), nullable=False, index=True),
    sa.Column("meter_point_id", sa.ForeignKey("meter_points.id")),
    sa.Column("poll_seconds", sa.Integer),  # null: as the setting says
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("archived_at", sa.BigInteger),  # no longer polled or listed; its history stays
    sa.Column("rated_power_w", sa.BigInteger),  # bounds its counters; null: the setting's
    sa.Column("site_role", sa.Text),  # grid, production, consumption; null: by what it measures
    sa.Index(
        "uq_hosts_ip_port_slave_address",
        "ip",
        "port",
        "slave_address",
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    ),
)

# What is read from a host, and the channel its samples go to; a counter's energy goes to the
# INTERVAL channel of the same measurement.
host_measurements = sa.Table(
    "host_measurements",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("host_id", sa.ForeignKey("hosts.id"), nullable=False),
    sa.Column("measurement", sa.ForeignKey("measurements.name"), nullable=False, index=True),
    sa.Column("channel_id", sa.ForeignKey("channels.id"), nullable=False),
    sa.UniqueConstraint("host_id", "measurement"),
)

# What has to be known of a polled channel's samples so far, in the transaction that stores them.
channel_states = sa.Table(
    "channel_states",
    metadata,
    sa.Column("channel_id", sa.ForeignKey("channels.id"), primary_key=True, autoincrement=False),
    sa.Column("sampled_at_ms", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),  # the last sample
    sa.Column("quality", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # JSON: domain.minutes, domain.counters
    sqlite_with_rowid=False,
)

# How polling a host goes.
host_health = sa.Table(
    "host_health",
    metadata,
    sa.Column("host_id", sa.ForeignKey("hosts.id"), primary_key=True, autoincrement=False),
    sa.Column("attempted_at_ms", sa.BigInteger, nullable=False),  # a poll is recorded once
    sa.Column("succeeded_at_ms", sa.BigInteger),  # something could be read
    sa.Column("failures_in_a_row", sa.Integer, nullable=False),
    sa.Column("latency_ms", sa.Integer),
    sa.Column("mean_latency_us", sa.BigInteger),  # moving
    sa.Column("failing", sa.Text, nullable=False),  # JSON: measurement to failure, last poll
    sqlite_with_rowid=False,
)

# Polls in which something failed, by domain.host_polls.PollFailure.
host_failures = sa.Table(
    "host_failures",
    metadata,
    sa.Column("host_id", sa.ForeignKey("hosts.id"), primary_key=True, autoincrement=False),
    sa.Column("failure", sa.Text, primary_key=True),
    sa.Column("polls", sa.BigInteger, nullable=False),
    sa.Column("last_at_ms", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Photovoltaic arrays of a location: what a clear sky would give them.
solar_arrays = sa.Table(
    "solar_arrays",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("location_id", sa.ForeignKey("locations.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("peak_w", sa.Integer, nullable=False),  # at standard test conditions
    sa.Column("tilt_deg", sa.Double, nullable=False),  # 0 flat, 90 upright
    sa.Column("azimuth_deg", sa.Double, nullable=False),  # 0 north, 90 east, 180 south
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("location_id", "name"),
)

# --- the two books -------------------------------------------------------------------------------

# Open days: what is not in the ledger yet. This key order takes twice the upserts of the other
# and makes the deletes of day_close contiguous.
daybook = sa.Table(
    "daybook",
    metadata,
    sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Readings that a different one for the same interval took the place of.
superseded_readings = sa.Table(
    "superseded_readings",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("channel_id", sa.BigInteger, nullable=False),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    sa.Column("superseded_at", sa.BigInteger, nullable=False),
    sa.Index("ix_superseded_readings_channel_id_starts_at", "channel_id", "starts_at"),
)

# Closed days, the current revision: one row per channel and local day. By day first, because a
# close writes whole days; a year of one channel is 366 look-ups by full key. Of a measurement of
# the moment `energy` is the sum of its known minutes (their mean times their number), of a
# counter's dial the sum of its samples: no energy, but what `meterbook verify` compares.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("energy", sa.BigInteger, nullable=False),
    sa.Column("intervals", sa.LargeBinary, nullable=False),  # domain.packed_amounts
    sa.Column("missing", sa.SmallInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),  # MIXED: see qualities
    sa.Column("qualities", sa.LargeBinary),  # one byte an interval, only where they differ
    sa.Column("revision", sa.SmallInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger, nullable=False),  # 0: see ledger_days
    sqlite_with_rowid=False,
)

# When a day of the ledger was first written: its rows that were written then say 0 for it, which
# takes no room in SQLite. On PostgreSQL, where closers would wait for each other here, none does.
ledger_days = sa.Table(
    "ledger_days",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("closed_at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Earlier revisions of closed days, kept for good.
ledger_revisions = sa.Table(
    "ledger_revisions",
    metadata,
    sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("energy", sa.BigInteger, nullable=False),
    sa.Column("intervals", sa.LargeBinary, nullable=False),
    sa.Column("missing", sa.SmallInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),
    sa.Column("qualities", sa.LargeBinary),
    sa.Column("closed_at", sa.BigInteger, nullable=False),  # 0: see ledger_days
    sa.Column("revised_at", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Which local days of which zone are closed, and what the close found.
day_closes = sa.Table(
    "day_closes",
    metadata,
    sa.Column("zone", sa.Text, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("closed_at", sa.BigInteger, nullable=False),  # the first time
    sa.Column("reclosed_at", sa.BigInteger),  # the last time late readings were taken in
    sa.Column("channel_days", sa.BigInteger, nullable=False),
    sa.Column("readings", sa.BigInteger, nullable=False),
    sa.Column("revised", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One of many processes runs a job: whoever holds its lease.
job_leases = sa.Table(
    "job_leases",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

# --- what is watched -----------------------------------------------------------------------------

# Attempts at a door in the present minute: a fixed window for each subject, shared by all workers.
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),  # what is limited; names only as SHA-256
    sa.Column("window_starts_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("count", sa.Integer, nullable=False),
)

# Every change of a person's or a device's record: appended, never changed, each entry carrying the
# hash of the one before. Triggers of the migration refuse UPDATE and DELETE.
audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, ...
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.BigInteger),  # who; null: the command line
    sa.Column("action", sa.Text, nullable=False),  # add, change, remove, ...
    sa.Column("subject", sa.Text, nullable=False, index=True),  # hosts/8
    sa.Column("before", sa.Text),  # JSON
    sa.Column("after", sa.Text),  # JSON
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("entry_hash", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
