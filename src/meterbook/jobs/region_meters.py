"""How many meters each region has, since when, and how many of them nobody has claimed."""

import sqlalchemy as sa

from meterbook.rollups.changes import is_counted
from meterbook.rollups.sums import NO_REGION
from meterbook.storage.database import Database
from meterbook.storage.dialects import insert_rows
from meterbook.storage.rollup_tables import region_meters
from meterbook.storage.tables import channels, meter_points

_DAY_S = 86_400


def count_region_meters(database: Database, *, now: int) -> None:
    """Count the meters of every region anew."""
    region = sa.func.coalesce(meter_points.c.region, NO_REGION)
    since = meter_points.c.created_at / sa.literal(_DAY_S, sa.BigInteger)
    since_day = sa.cast(sa.func.floor(since), sa.Integer)
    unclaimed = sa.case((meter_points.c.account_id.is_(None), 1), else_=0)
    wanted = (
        sa.select(region, channels.c.zone, since_day, sa.func.count(), sa.func.sum(unclaimed))
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .where(is_counted())
        .group_by(region, channels.c.zone, since_day)
    )
    with database.reading() as connection:
        rows = [
            (*found[:3], int(found[3]), int(found[4]), now) for found in connection.execute(wanted)
        ]
    with database.writing() as connection:
        connection.execute(sa.delete(region_meters))
        insert_rows(connection, region_meters, rows)


def region_meters_counted_at(connection: sa.Connection) -> int | None:
    """Return when the meters were counted last, UTC epoch seconds; None: there were none."""
    found: int | None = connection.execute(
        sa.select(sa.func.max(region_meters.c.computed_at))
    ).scalar()
    return found
