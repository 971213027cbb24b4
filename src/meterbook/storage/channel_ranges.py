"""
Channels whose rows are wanted together: a range, or some of it.

A range reads a piece of an index; a list of them lets Citus ask only the shards they are in.
"""

import msgspec
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
