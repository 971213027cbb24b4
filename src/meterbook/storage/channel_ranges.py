"""
Channels whose rows are wanted together: a range, or some of it.

A range reads a piece of an index; a list of them lets Citus ask only the shards they are in.
"""

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.domain.reading_columns import IntColumn
from meterbook.storage.dialects import among, numbers


class ChannelRange(msgspec.Struct, frozen=True):
    """Channels from the first to the last."""

    first: int
    last: int
    only: IntColumn | None = None
    """Where not all between them are meant: these, rising, shape (n,)."""

    def condition(self, connection: sa.Connection) -> tuple[str, dict[str, object]]:
        """Return the condition that `channel_id` is one of them, and its parameters."""
        if self.only is None:
            between = "channel_id BETWEEN :first_channel_id AND :last_channel_id"
            return between, {"first_channel_id": self.first, "last_channel_id": self.last}
        listed = numbers(connection, self.only.tolist())
        return among(connection, "channel_id"), {"ids": listed}


def within_zone(
    connection: sa.Connection, wanted: ChannelRange, *, zone: str, interval_s: int
) -> ChannelRange | None:
    """
    Return the channels that are of the zone and interval length at this moment; None: none is.

    Between the question which there are and the transaction that takes their rows a meter may
    have got another zone, or one of another zone a number in the range.
    """
    condition, asked = wanted.condition(connection)
    source = f"""
        FROM (SELECT id AS channel_id, zone = :zone AND interval_s = :interval_s AS is_of_zone
              FROM channels) AS each_channel WHERE {condition}
    """  # noqa: S608 built from our own names only
    asked |= {"zone": zone, "interval_s": interval_s}
    counted = sa.text(f"SELECT count(CASE WHEN is_of_zone THEN 1 END), count(*) {source}")
    of_zone, all_of_them = connection.execute(counted, asked).one()
    if of_zone == all_of_them:
        return wanted if of_zone else None
    listed = sa.text(f"SELECT channel_id {source} AND is_of_zone ORDER BY channel_id")
    only = np.array(connection.scalars(listed, asked).all(), dtype=np.int64)
    return ChannelRange(int(only[0]), int(only[-1]), only) if len(only) else None
