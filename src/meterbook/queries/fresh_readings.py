"""What has just arrived for some channels, and whether those who watch may go on watching."""

from collections.abc import Collection

import sqlalchemy as sa

from meterbook import daybook
from meterbook.registry.accounts import Role
from meterbook.storage.dialects import among, batch, is_distributed, numbers
from meterbook.storage.rollup_tables import region_half_hours
from meterbook.storage.tables import host_health

Fresh = dict[int, dict[int, tuple[int, int]]]
"""Channel to interval start to amount and when it was received, UTC epoch milliseconds."""


def open_by_channel(connection: sa.Connection, channel_ids: Collection[int], *, now: int) -> Fresh:
    """Return what is not in the ledger yet of these channels; one question for all of them."""
    fresh: Fresh = {channel_id: {} for channel_id in channel_ids}
    if not channel_ids:
        return fresh
    ends_at = now + 86_400
    statement, asked = (_by_channel if is_distributed(connection) else _by_slot)(
        connection, sorted(channel_ids), ends_at
    )
    for row in connection.execute(sa.text(statement), asked):
        fresh[row.channel_id][row.starts_at] = (row.amount, row.received_at_ms)
    return fresh


def _by_slot(
    connection: sa.Connection, channel_ids: list[int], ends_at: int
) -> tuple[str, dict[str, object]]:
    slots = daybook.open_interval_starts(connection, starts_at=0, ends_at=ends_at)
    keys = [(start, channel_id) for start in slots for channel_id in channel_ids]
    columns = {"starts_at": "bigint", "channel_id": "bigint"}
    source, parameters = batch(connection, columns=columns, rows=keys)
    statement = f"""
        SELECT daybook.channel_id, daybook.starts_at, daybook.amount, daybook.received_at_ms
        FROM {source} CROSS JOIN daybook
        WHERE daybook.starts_at = batch.starts_at AND daybook.channel_id = batch.channel_id
    """  # noqa: S608 built from our own names only
    return statement, parameters


def _by_channel(
    connection: sa.Connection, channel_ids: list[int], ends_at: int
) -> tuple[str, dict[str, object]]:
    statement = f"""
        SELECT channel_id, starts_at, amount, received_at_ms FROM daybook
        WHERE {among(connection, "channel_id")} AND starts_at < :ends_at
    """  # noqa: S608 built from our own names only
    return statement, {"ids": numbers(connection, channel_ids), "ends_at": ends_at}


def still_seen(
    connection: sa.Connection, watching: Collection[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return which channels their watchers may see at this moment, as (account, channel)."""
    columns = {"account_id": "bigint", "channel_id": "bigint"}
    source, parameters = batch(connection, columns=columns, rows=sorted(watching))
    statement = f"""
        SELECT batch.account_id, batch.channel_id
        FROM {source} CROSS JOIN accounts CROSS JOIN channels CROSS JOIN meter_points
        WHERE accounts.id = batch.account_id AND channels.id = batch.channel_id
          AND meter_points.id = channels.meter_point_id
          AND (accounts.role <> '{Role.HOUSEHOLD}' OR meter_points.account_id = accounts.id)
    """  # noqa: S608 built from our own names only
    return {(row[0], row[1]) for row in connection.execute(sa.text(statement), parameters)}


def polls_by_host(connection: sa.Connection, host_ids: Collection[int]) -> dict[int, int]:
    """Return when each of these hosts was last polled, UTC epoch milliseconds."""
    if not host_ids:
        return {}
    found = sa.select(host_health.c.host_id, host_health.c.attempted_at_ms).where(
        host_health.c.host_id.in_(sorted(host_ids))
    )
    return {row.host_id: row.attempted_at_ms for row in connection.execute(found)}


def regions_summed_at(connection: sa.Connection) -> int:
    """Return when the open days of any region were last summed anew; 0: never."""
    latest = connection.execute(sa.select(sa.func.max(region_half_hours.c.computed_at))).scalar()
    return latest or 0
