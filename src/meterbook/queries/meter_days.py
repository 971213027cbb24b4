"""
One local day of every meter of a zone, as it stands: for files that hold whole days.

Streams in chunks of channels, so memory does not grow with the number of meters.
"""

from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.closed_days import ClosedDay, DayColumns, merge
from meterbook.domain.day_tables import fold
from meterbook.domain.local_days import day_bounds, day_number
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.tables import channels, installations

METERS_PER_CHUNK = 5_000


class MeterDay(msgspec.Struct, frozen=True):
    """The day of one meter."""

    meter_id: int
    meter_point_id: int
    closed: ClosedDay


def meter_days(connection: sa.Connection, *, day: date, zone: ZoneInfo) -> Iterator[MeterDay]:
    """Yield the day of each meter of the zone that has any reading in it."""
    last_channel_id = 0
    while True:
        rows = connection.execute(
            sa.select(channels.c.id, installations.c.meter_id, installations.c.meter_point_id)
            .join(installations, installations.c.channel_id == channels.c.id)
            .where(channels.c.zone == zone.key, channels.c.id > last_channel_id)
            .where(channels.c.interval_s == HALF_HOUR_S)
            .order_by(channels.c.id, installations.c.installed_at)
            .limit(METERS_PER_CHUNK)
        ).all()
        if not rows:
            return
        # The last installation of a channel names it: its meter is the one there now.
        by_channel = {row.id: row for row in rows}
        first_channel_id, last_channel_id = rows[0].id, rows[-1].id
        days = _days_of_channels(
            connection, day=day, zone=zone, first=first_channel_id, last=last_channel_id
        )
        for channel_id, row in by_channel.items():
            if channel_id in days:
                yield MeterDay(row.meter_id, row.meter_point_id, days[channel_id])


def _days_of_channels(
    connection: sa.Connection, *, day: date, zone: ZoneInfo, first: int, last: int
) -> dict[int, ClosedDay]:
    number = day_number(day)
    wanted = ChannelRange(first, last)
    # Open readings first: what a close takes in between is then seen twice, and not never.
    begins_at, ends_at = day_bounds(day, zone)
    slots = (ends_at - begins_at) // HALF_HOUR_S
    parts = []
    for start in daybook.open_interval_starts(
        connection, starts_at=begins_at, ends_at=ends_at, step_s=HALF_HOUR_S
    ):
        slot = (start - begins_at) // HALF_HOUR_S
        if slot < slots:
            rows = daybook.read_interval(connection, starts_at=start, channels=wanted)
            parts.append((*rows, np.full(len(rows[0]), slot)))
    days = ledger.days_of_channels(connection, day=number, channels=wanted)
    if parts:
        channel_id, amount, quality, slot_of = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        columns = DayColumns(
            channel_id=channel_id,
            day=np.full(len(channel_id), number),
            slot=slot_of,
            amount=amount,
            quality=quality,
            slots_in_day=np.full(len(channel_id), slots),
        )
        for late in fold(columns).days():
            earlier = days.get(late.channel_id)
            days[late.channel_id] = late if earlier is None else merge(earlier, late).day
    return days
