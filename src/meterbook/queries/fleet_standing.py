"""What needs an operator's eye: silent meters, meters nobody has claimed, the last day closes."""

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import numbered_day, utc_text
from meterbook.storage.rollup_tables import region_meters, silent_channels
from meterbook.storage.tables import accounts, channels, day_closes, installations, meter_points


class RegionStanding(msgspec.Struct, frozen=True):
    """How many meters of a region there are, and how many need an eye."""

    region: str
    """Empty: meter points of no region."""
    meters: int
    unclaimed: int
    silent: int


class SilentMeter(msgspec.Struct, frozen=True):
    """A meter no packet has come from in the last intervals."""

    meter_id: int
    region: str
    last_starts_at: str | None
    """Start of its last reading, UTC; null: long ago, or never."""


class RegionMeter(msgspec.Struct, frozen=True):
    """A meter of a region, in a list."""

    meter_id: int
    name: str | None
    owner: str | None
    """Name of the account that claimed it; null: nobody."""
    is_silent: bool


class LastClose(msgspec.Struct, frozen=True):
    """What the close of a local day found."""

    zone: str
    day: str
    closed_at: str
    reclosed_at: str | None
    """The last time late readings were taken in."""
    channel_days: int
    readings: int
    revised: int


def region_standings(connection: sa.Connection) -> list[RegionStanding]:
    """Return the regions by name, as the jobs last counted them."""
    counted = sa.select(silent_channels.c.region, sa.func.count()).group_by(
        silent_channels.c.region
    )
    silent = {row[0]: int(row[1]) for row in connection.execute(counted)}
    found = connection.execute(
        sa.select(
            region_meters.c.region,
            sa.func.sum(region_meters.c.channels).label("meters"),
            sa.func.sum(region_meters.c.unclaimed).label("unclaimed"),
        )
        .group_by(region_meters.c.region)
        .order_by(region_meters.c.region)
    )
    return [
        RegionStanding(row.region, int(row.meters), int(row.unclaimed), silent.get(row.region, 0))
        for row in found
    ]


def silent_meters(
    connection: sa.Connection, *, region: str | None = None, limit: int, offset: int = 0
) -> list[SilentMeter]:
    """Return silent meters, by region and meter ID; region None: of all regions."""
    found = connection.execute(
        sa.select(
            installations.c.meter_id, silent_channels.c.region, silent_channels.c.last_starts_at
        )
        .join(installations, installations.c.channel_id == silent_channels.c.channel_id)
        .where(sa.true() if region is None else silent_channels.c.region == region)
        .order_by(silent_channels.c.region, silent_channels.c.channel_id)
        .limit(limit)
        .offset(offset)
    )
    return [
        SilentMeter(row[0], row[1], None if row[2] is None else utc_text(row[2])) for row in found
    ]


def meters_of_region(
    connection: sa.Connection, *, region: str, limit: int, offset: int = 0
) -> list[RegionMeter]:
    """Return the meters of a region in the order they came; region empty: of none."""
    point = meter_points.c
    found = connection.execute(
        sa.select(
            installations.c.meter_id, point.name, accounts.c.username, silent_channels.c.channel_id
        )
        .select_from(meter_points)
        .join(installations, installations.c.meter_point_id == point.id)
        .join(channels, channels.c.id == installations.c.channel_id)
        .join(accounts, accounts.c.id == point.account_id, isouter=True)
        .join(silent_channels, silent_channels.c.channel_id == channels.c.id, isouter=True)
        .where(point.region == region if region else point.region.is_(None))
        .order_by(point.id)
        .limit(limit)
        .offset(offset)
    )
    return [RegionMeter(row[0], row[1], row[2], row[3] is not None) for row in found]


def last_closes(connection: sa.Connection, *, limit: int) -> list[LastClose]:
    """Return the newest closed days, newest first."""
    found = connection.execute(
        sa.select(day_closes).order_by(day_closes.c.day.desc(), day_closes.c.zone).limit(limit)
    )
    return [
        LastClose(
            row.zone,
            numbered_day(row.day).isoformat(),
            utc_text(row.closed_at),
            None if row.reclosed_at is None else utc_text(row.reclosed_at),
            row.channel_days,
            row.readings,
            row.revised,
        )
        for row in found
    ]
