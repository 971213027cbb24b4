"""
What leaves: the series of some meters, day by day, as every view sees them.

Streams: memory holds a thousand series and a year of one of them. The days come from
`channel_days`, the path of the screens, so a file adds up to what the pages show.
"""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, numbered_day, time_zone
from meterbook.domain.readings import Counting, Flow
from meterbook.ledger import first_and_last_day
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.registry.meters import ACTIVE_ENERGY
from meterbook.storage.file_tables import foreign_ids
from meterbook.storage.tables import (
    channels,
    daybook,
    installations,
    meter_points,
)

SERIES_AT_ONCE = 1_000
DAYS_AT_ONCE = 366


class ExportSeries(msgspec.Struct, frozen=True):
    """One flow of one meter point, named by the meter that is there now."""

    meter_id: int
    flow: Flow
    channel_id: int
    interval_s: int
    zone: ZoneInfo
    names: dict[str, str]
    """What others call the meter: scheme to name."""


def export_series(
    connection: sa.Connection,
    *,
    meter_ids: Collection[int] | None = None,
    account_id: int | None = None,
    region: str | None = None,
) -> Iterator[ExportSeries]:
    """Yield the series of these meters, by channel; None: of any meter, account, region."""
    wanted = (
        sa.select(
            channels.c.id,
            channels.c.flow,
            channels.c.interval_s,
            channels.c.zone,
            installations.c.meter_id,
        )
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .join(installations, installations.c.meter_point_id == meter_points.c.id)
        .where(channels.c.measurement == ACTIVE_ENERGY)
        .where(channels.c.counting == int(Counting.INTERVAL))
    )
    if meter_ids is not None:
        points = sa.select(installations.c.meter_point_id).where(
            installations.c.meter_id.in_(sorted(meter_ids))
        )
        wanted = wanted.where(meter_points.c.id.in_(points))
    if account_id is not None:
        wanted = wanted.where(meter_points.c.account_id == account_id)
    if region is not None:
        wanted = wanted.where(meter_points.c.region == region)
    last_channel_id = 0
    while True:
        rows = connection.execute(
            wanted.where(channels.c.id > last_channel_id)
            .order_by(channels.c.id, installations.c.installed_at)
            .limit(SERIES_AT_ONCE)
        ).all()
        if not rows:
            return
        last_channel_id = rows[-1].id
        # The last installation of a meter point names it: its meter is the one there now.
        by_channel = {row.id: row for row in rows}
        names = _names(connection, {row.meter_id for row in by_channel.values()})
        for row in by_channel.values():
            yield ExportSeries(
                row.meter_id, Flow(row.flow), row.id, row.interval_s, time_zone(row.zone),
                names.get(row.meter_id, {}),
            )  # fmt: skip


def _names(connection: sa.Connection, meter_ids: Collection[int]) -> dict[int, dict[str, str]]:
    rows = connection.execute(
        sa.select(foreign_ids.c.meter_id, foreign_ids.c.scheme, foreign_ids.c.foreign_id).where(
            foreign_ids.c.meter_id.in_(sorted(meter_ids))
        )
    )
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.meter_id, {})[row.scheme] = row.foreign_id
    return found


def days_of_books(connection: sa.Connection) -> tuple[date, date] | None:
    """Return the first day of any reading and the day after the last; None: there is none."""
    starts = [
        connection.execute(sa.select(least_or_most(daybook.c.starts_at))).scalar()
        for least_or_most in (sa.func.min, sa.func.max)
    ]
    utc = ZoneInfo("UTC")
    # A local day begins at most a day before or after the one of the same name in UTC.
    days = [numbered_day(number) for number in first_and_last_day(connection) or ()]
    days += [local_day(instant, utc) for instant in starts if instant is not None]
    if not days:
        return None
    return min(days) - timedelta(days=1), max(days) + timedelta(days=2)


def days_of_series(
    connection: sa.Connection, series: ExportSeries, *, first_day: date, end_day: date
) -> Iterator[DayReadings]:
    """Yield the days from first_day up to, not including, end_day that have a reading."""
    begin = first_day
    while begin < end_day:
        end = min(begin + timedelta(days=DAYS_AT_ONCE), end_day)
        for day in channel_days(
            connection,
            channel_id=series.channel_id,
            interval_s=series.interval_s,
            first_day=begin,
            end_day=end,
            zone=series.zone,
        ):
            if any(amount is not None for amount in day.amounts):
                yield day
        begin = end
