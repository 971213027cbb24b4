"""Readings of the past into the books: ended days straight into the ledger, today's as readings."""

from zoneinfo import ZoneInfo

import numpy as np

from meterbook import daybook, ledger
from meterbook.day_close import put_into_ledger
from meterbook.domain.closed_days import DayColumns, IntColumn, fold
from meterbook.domain.local_days import day_bounds, day_number, local_day
from meterbook.domain.readings import HALF_HOUR_S, Quality, Reading
from meterbook.storage.database import Database


def load(
    database: Database,
    *,
    channel_id: IntColumn,
    starts_at: IntColumn,
    amount: IntColumn,
    quality: IntColumn,
    zone: ZoneInfo,
    now: int,
) -> None:
    """Store half-hourly readings of channels of one zone; doing it again changes nothing."""
    distinct, index = np.unique(starts_at, return_inverse=True)
    days = [local_day(start, zone) for start in distinct.tolist()]
    bounds = {day: day_bounds(day, zone) for day in set(days)}
    begins_at = np.array([bounds[day][0] for day in days], dtype=np.int64)[index]
    ends_at = np.array([bounds[day][1] for day in days], dtype=np.int64)[index]
    number = np.array([day_number(day) for day in days], dtype=np.int64)[index]
    ended = ends_at <= now
    closed = fold(
        DayColumns(
            channel_id=channel_id[ended],
            day=number[ended],
            slot=((starts_at - begins_at) // HALF_HOUR_S)[ended],
            amount=amount[ended],
            quality=quality[ended],
            slots_in_day=((ends_at - begins_at) // HALF_HOUR_S)[ended],
        )
    )
    columns = (column[~ended].tolist() for column in (channel_id, starts_at, amount, quality))
    readings = [
        Reading(channel, start, energy, Quality(rank))
        for channel, start, energy, rank in zip(*columns, strict=True)
    ]
    with database.writing() as connection:
        existing = ledger.days_by_key(connection, [(day.day, day.channel_id) for day in closed])
        put_into_ledger(connection, closed, existing=existing, now=now, reason="loaded", zone=zone)
        daybook.record_readings(connection, readings, received_at_ms=now * 1000)
