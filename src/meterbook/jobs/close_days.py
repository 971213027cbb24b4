"""Closing by itself: every ended local day of every zone, and days that late readings came for."""

from collections.abc import Callable
from datetime import timedelta

import structlog
from prometheus_client import Counter

from meterbook.day_close import DayClose, close_day, days_to_close, zones
from meterbook.domain.local_days import midnight, time_zone
from meterbook.storage.database import Database

DAY_CLOSES = Counter("meterbook_day_closes_total", "Day closes that moved readings.", ["kind"])
_log = structlog.get_logger()


def close_ended_days(
    database: Database,
    *,
    now: int,
    delay_s: int,
    still_ours: Callable[[], bool] = lambda: True,
) -> list[DayClose]:
    """
    Close what is due and return what each close did.

    :param delay_s: how long after local midnight a day is due; its last packets come at 00:01.
    :param still_ours: asked before each day, so that a lost lease stops the run.
    """
    with database.reading() as connection:
        names = zones(connection)
    closes: list[DayClose] = []
    for name in names:
        zone = time_zone(name)
        with database.reading() as connection:
            days = days_to_close(connection, zone=zone, now=now)
        for day in days:
            if midnight(day + timedelta(days=1), zone) + delay_s > now:
                continue
            if not still_ours():
                return closes
            close = close_day(database, day=day, zone=zone, now=now)
            closes.append(close)
            DAY_CLOSES.labels("revision" if close.revised else "first").inc()
            _log.info(
                "day closed",
                zone=name,
                day=day.isoformat(),
                channel_days=close.channel_days,
                readings=close.readings,
                revised=close.revised,
            )
    return closes
