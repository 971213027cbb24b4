"""Readings that another one for the same interval took the place of, beside the one that counts."""

from collections.abc import Collection
from datetime import timedelta

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import day_bounds, local_day, time_zone, utc_text
from meterbook.queries.channel_days import channel_days
from meterbook.storage.tables import channels, installations, superseded_readings

_SHORTEST_S = 60  # no interval is shorter; where one began that is of no length of its day


class Conflict(msgspec.Struct, frozen=True):
    """Two different values for one interval of one channel."""

    id: int
    meter_id: int | None
    """The meter whose packets go to the channel; null where none do."""
    measurement: str
    day: str
    """On the meter's clock."""
    starts_at: str
    unit: str
    """Of both values: Wh, or thousandths of another unit."""
    superseded: int
    """The value that came first and is kept."""
    counting: int | None
    """The value that counts now."""
    received_at: str
    """When the first one came."""
    superseded_at: str


def conflicts(connection: sa.Connection, *, limit: int, offset: int = 0) -> list[Conflict]:
    """Return the conflicts, newest first."""
    rows = connection.execute(
        sa.select(
            superseded_readings,
            channels.c.measurement,
            channels.c.unit,
            channels.c.interval_s,
            channels.c.zone,
        )
        .join(channels, channels.c.id == superseded_readings.c.channel_id)
        .order_by(superseded_readings.c.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()
    meter_of = _meters(connection, {row.channel_id for row in rows})
    return [
        Conflict(
            row.id,
            meter_of.get(row.channel_id),
            row.measurement,
            local_day(row.starts_at, time_zone(row.zone)).isoformat(),
            utc_text(row.starts_at - row.starts_at % _SHORTEST_S),
            row.unit,
            row.amount,
            _counting(
                connection,
                channel_id=row.channel_id,
                starts_at=row.starts_at,
                interval_s=row.interval_s,
                zone_name=row.zone,
            ),
            utc_text(row.received_at_ms // 1000),
            utc_text(row.superseded_at),
        )
        for row in rows
    ]


def _meters(connection: sa.Connection, channel_ids: Collection[int]) -> dict[int, int]:
    rows = connection.execute(
        sa.select(installations.c.channel_id, sa.func.max(installations.c.meter_id))
        .where(installations.c.channel_id.in_(sorted(channel_ids)))
        .group_by(installations.c.channel_id)
    )
    return {row[0]: row[1] for row in rows}


def _counting(
    connection: sa.Connection, *, channel_id: int, starts_at: int, interval_s: int, zone_name: str
) -> int | None:
    zone = time_zone(zone_name)
    day = local_day(starts_at, zone)
    for standing in channel_days(
        connection,
        channel_id=channel_id,
        interval_s=interval_s,
        first_day=day,
        end_day=day + timedelta(days=1),
        zone=zone,
    ):
        index = (starts_at - day_bounds(day, zone)[0]) // standing.interval_s
        return standing.amounts[index]
    return None
