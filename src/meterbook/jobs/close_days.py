"""Closing by itself: every ended local day of every zone, and days that late readings came for."""

from collections.abc import Callable

import structlog
from prometheus_client import Counter

from meterbook.day_close import DayClose, close_day, days_to_close, is_closed, zones
from meterbook.domain.local_days import local_day, midnight, time_zone
from meterbook.storage.database import Database, is_unreachable

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
    Close what is due and return what each close did; a day that cannot be closed stops no other.

    :param delay_s: how long after local midnight a day is due; its last packets come at 00:01.
    :param still_ours: asked before each day, so that a lost lease stops the run.
    :raises Exception: at the end, what kept the first such day from being closed.
    """
    with database.reading() as connection:
        known = [time_zone(name) for name in zones(connection)]
    due_at = now - delay_s
    late_before = min((midnight(local_day(due_at, zone), zone) for zone in known), default=0)
    closes: list[DayClose] = []
    failures: list[Exception] = []
    for zone in known:
        with database.reading() as connection:
            days = days_to_close(connection, zone=zone, due_at=due_at, late_before=late_before)
        for day in days:
            if not still_ours():
                return closes
            with database.reading() as connection:
                is_first = not is_closed(connection, day=day, zone=zone.key)
            try:
                close = close_day(database, day=day, zone=zone, now=now)
            except Exception as error:
                if is_unreachable(error):
                    raise
                _log.error("day not closed", zone=zone.key, day=day.isoformat(), error=str(error))
                failures.append(error)
                continue
            if is_first or close.readings:
                closes.append(close)
                _tell(close, is_first=is_first)
    if failures:
        raise failures[0]
    return closes


def _tell(close: DayClose, *, is_first: bool) -> None:
    DAY_CLOSES.labels("first" if is_first else "late").inc()
    _log.info(
        "day closed",
        zone=close.zone,
        day=close.day.isoformat(),
        channel_days=close.channel_days,
        readings=close.readings,
        revised=close.revised,
    )
