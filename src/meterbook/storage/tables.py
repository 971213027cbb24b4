"""
The whole schema on one page.

Instants are UTC epoch seconds, days are days since 1970-01-01, energy is whole Wh, so that both
engines store the same small integers. A test compares this page with what the migrations build.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only for a column declared INTEGER.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# --- who -------------------------------------------------------------------------------------

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", _Id, primary_key=True),
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
    sa.Column("id", _Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), index=True),
    sa.Column("name_encrypted", sa.LargeBinary),
    sa.Column("fin_encrypted", sa.LargeBinary),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

# --- what is metered ---------------------------------------------------------------------------

meter_points = sa.Table(
    "meter_points",
    metadata,
    sa.Column("id", _Id, primary_key=True),
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
    sa.Column("id", _Id, primary_key=True),
    sa.Column("meter_point_id", sa.ForeignKey("meter_points.id"), nullable=False),
    sa.Column("measurement", sa.Text, nullable=False),  # active_energy, voltage_ac, ...
    sa.Column("flow", sa.SmallInteger, nullable=False),  # domain.readings.Flow
    sa.Column("counting", sa.SmallInteger, nullable=False),  # domain.readings.Counting
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("interval_s", sa.Integer, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),  # the meter point's, here for day_close
    sa.UniqueConstraint("meter_point_id", "measurement", "flow", "counting"),
    sa.Index("ix_channels_zone_id", "zone", "id"),
)

# The devices that push packets, known by the number in the packet.
meters = sa.Table(
    "meters",
    metadata,
    sa.Column("meter_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key_hash", sa.Text),  # null: no key, trusted networks only
    sa.Column("first_seen_at", sa.BigInteger, nullable=False),
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
    sa.Column("id", _Id, primary_key=True),
    sa.Column("channel_id", sa.BigInteger, nullable=False),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    sa.Column("superseded_at", sa.BigInteger, nullable=False),
    sa.Index("ix_superseded_readings_channel_id_starts_at", "channel_id", "starts_at"),
)

# Closed days, the current revision: one row per channel and local day. By day first, because a
# close writes whole days; a year of one channel is 366 look-ups by full key.
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("energy", sa.BigInteger, nullable=False),
    sa.Column("intervals", sa.LargeBinary, nullable=False),  # MessagePack, null is missing
    sa.Column("missing", sa.SmallInteger, nullable=False),
    sa.Column("quality", sa.SmallInteger, nullable=False),  # MIXED: see qualities
    sa.Column("qualities", sa.LargeBinary),  # one byte an interval, only where they differ
    sa.Column("revision", sa.SmallInteger, nullable=False),
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
    sa.Column("closed_at", sa.BigInteger, nullable=False),
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
