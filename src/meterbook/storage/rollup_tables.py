"""
The tables of the roll-ups: sums over the books, never the only place where anything is known.

Each can be computed again from the books (`meterbook rollups rebuild`). They stand beside
`tables.py` because nothing refers to them and nothing is lost with them.
"""

import sqlalchemy as sa

from meterbook.storage.metadata import Id, metadata


def _key() -> tuple[sa.Column[int], sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),  # empty: meter points of no region
    )


def _sums() -> tuple[sa.Column[int] | sa.Column[bytes], ...]:
    return (
        sa.Column("energy", sa.BigInteger, nullable=False),  # Wh
        sa.Column("channels", sa.BigInteger, nullable=False),  # with a row in the ledger
        sa.Column("known", sa.BigInteger, nullable=False),  # intervals
        sa.Column("missing", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.BigInteger, nullable=False),  # of the known
        sa.Column("half_hours", sa.LargeBinary, nullable=False),  # packed as a day's intervals: Wh
        sa.Column("reporting", sa.LargeBinary, nullable=False),  # packed too: channels known
    )


# Closed days: what the ledger's rows of a region, day and zone add up to, less the changes below.
region_days = sa.Table(
    "region_days",
    metadata,
    *_key(),
    *_sums(),
    sa.PrimaryKeyConstraint("day", "zone", "region"),
    sqlite_with_rowid=False,
)

# What has been added since: written with the ledger's rows in one transaction, so that the two
# never disagree. Rows are only inserted, so writers never wait for each other.
region_day_changes = sa.Table(
    "region_day_changes",
    metadata,
    sa.Column("id", Id, primary_key=True),
    *_key(),
    *_sums(),
    sa.Index("ix_region_day_changes_day", "day"),
)

# Days not closed yet, half hour by half hour, as of `computed_at`.
region_half_hours = sa.Table(
    "region_half_hours",
    metadata,
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),  # the local day it belongs to
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("energy", sa.BigInteger, nullable=False),
    sa.Column("known", sa.BigInteger, nullable=False),
    sa.Column("estimated", sa.BigInteger, nullable=False),
    sa.Column("computed_at", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("starts_at", "zone", "region"),
    sqlite_with_rowid=False,
)

# How many meters there are, by the day they came.
region_meters = sa.Table(
    "region_meters",
    metadata,
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("since_day", sa.Integer, nullable=False),  # of the meter points' making, UTC
    sa.Column("channels", sa.BigInteger, nullable=False),
    sa.Column("unclaimed", sa.BigInteger, nullable=False),
    sa.Column("computed_at", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("region", "zone", "since_day"),
    sqlite_with_rowid=False,
)

# Channels no packet has come for in the last intervals; a channel that speaks again leaves.
silent_channels = sa.Table(
    "silent_channels",
    metadata,
    sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("region", sa.Text, nullable=False, index=True),
    sa.Column("last_starts_at", sa.BigInteger),  # of its last reading; null: long ago, or never
    sa.Column("found_at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
