"""
Every meter with the totals of its closed days: what the master database file holds.

Streams in chunks of channels, so memory does not grow with the number of meters.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay
from meterbook.domain.local_days import time_zone
from meterbook.domain.readings import Counting, Flow
from meterbook.ledger import days_by_key
from meterbook.rollups.upkeep import days_in
from meterbook.storage.tables import channels, installations, ledger

ROWS_PER_CHUNK = 400_000  # totals in memory at once: 1,000 meters of a year


class MasterMeterDays(msgspec.Struct, frozen=True):
    """The closed days of one meter."""

    meter_id: int
    meter_point_id: int
    zone: ZoneInfo
    totals: dict[int, int]
    """Day number to energy in Wh, newest first."""
    newest: ClosedDay | None


def master_meters(connection: sa.Connection) -> Iterator[MasterMeterDays]:
    """Yield every meter that measures consumption, also those without a closed day."""
    days = days_in(connection, ledger)[::-1]
    last_channel_id = 0
    while True:
        rows = connection.execute(
            sa.select(
                channels.c.id,
                channels.c.zone,
                installations.c.meter_id,
                installations.c.meter_point_id,
            )
            .join(installations, installations.c.channel_id == channels.c.id)
            .where(channels.c.id > last_channel_id)
            .where(channels.c.flow == int(Flow.IMPORT))
            .where(channels.c.counting == int(Counting.INTERVAL))
            .order_by(channels.c.id, installations.c.installed_at)
            .limit(max(ROWS_PER_CHUNK // max(len(days), 1), 1))
        ).all()
        if not rows:
            return
        # The last installation of a channel names it: its meter is the one there now.
        by_channel = {row.id: row for row in rows}
        first_channel_id, last_channel_id = rows[0].id, rows[-1].id
        totals = _totals(connection, days, first=first_channel_id, last=last_channel_id)
        heads = [(next(iter(known)), channel_id) for channel_id, known in totals.items()]
        newest = days_by_key(connection, heads)
        for channel_id, row in by_channel.items():
            known = totals.get(channel_id, {})
            head = newest.get((next(iter(known)), channel_id)) if known else None
            yield MasterMeterDays(
                row.meter_id, row.meter_point_id, time_zone(row.zone), known, head
            )


def _totals(
    connection: sa.Connection, days: list[int], *, first: int, last: int
) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for day in days:
        rows = connection.execute(
            sa.select(ledger.c.channel_id, ledger.c.energy).where(
                ledger.c.day == day, ledger.c.channel_id.between(first, last)
            )
        )
        for channel_id, energy in rows:
            found.setdefault(channel_id, {})[day] = energy
    return found
