"""
What a meter has counted since its book begins, to the last reading.

The ledger's totals, except of days that also have open readings: those are looked at interval by
interval, because a late reading may stand in place of one in the ledger.
"""

from datetime import timedelta

import msgspec
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.domain.local_days import local_day, numbered_day, time_zone
from meterbook.queries.channel_days import channel_days
from meterbook.queries.meter_places import MeterPlace


class MeterTotal(msgspec.Struct, frozen=True):
    """A meter's energy since its book begins."""

    total_wh: int
    last_starts_at: int | None
    """Start of the newest interval that is open and known; None: none is."""
    last_wh: int | None
    """Energy of that interval."""


def meter_total(connection: sa.Connection, *, place: MeterPlace, now: int) -> MeterTotal:
    """Return the meter's total up to now."""
    zone = time_zone(place.zone)
    opened = daybook.open_readings(connection, [place.channel_id], starts_at=0, ends_at=now)
    open_days = {local_day(reading.starts_at, zone) for reading in opened}
    total_wh = 0
    if span := ledger.first_and_last_day(connection):
        first, last = span
        closed = ledger.days_of_channel(
            connection, channel_id=place.channel_id, first_day=first, end_day=last + 1
        )
        total_wh = sum(row.energy for row in closed if numbered_day(row.day) not in open_days)
    for day in open_days:
        for found in channel_days(
            connection,
            channel_id=place.channel_id,
            interval_s=place.interval_s,
            first_day=day,
            end_day=day + timedelta(days=1),
            zone=zone,
        ):
            total_wh += sum(amount for amount in found.amounts if amount is not None)
    newest = opened[-1] if opened else None
    return MeterTotal(
        total_wh, newest.starts_at if newest else None, newest.amount if newest else None
    )
