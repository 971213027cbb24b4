"""Meter points as operators and admins see them: claimed by an account, or not yet."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import UnknownZoneError, grid_offset_s, time_zone, utc_text
from meterbook.registry import audit
from meterbook.registry.locations import require_account
from meterbook.registry.meters import add_meters
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.rollups.changes import hold_regions, move_meter_point
from meterbook.rollups.sums import NO_REGION
from meterbook.storage.dialects import number_source, numbers
from meterbook.storage.rollup_tables import silent_channels
from meterbook.storage.tables import (
    channels,
    daybook,
    installations,
    ledger,
    meter_keys,
    meter_points,
    meters,
)


class MeterPoint(msgspec.Struct, frozen=True):
    """One place where packets of a meter are kept."""

    id: int
    meter_id: int
    user: int | None
    """The account that claimed it; null: nobody."""
    name: str | None
    region: str | None
    zone: str
    """IANA time zone."""
    has_key: bool
    """Whether the meter's packets must carry a key."""
    first_seen_at: str


_COLUMNS = (
    meter_points.c.id,
    meters.c.meter_id,
    meter_points.c.account_id,
    meter_points.c.name,
    meter_points.c.region,
    meter_points.c.zone,
    sa.exists().where(meter_keys.c.meter_id == meters.c.meter_id).label("has_key"),
    meters.c.first_seen_at,
)
_FROM = meter_points.join(installations, installations.c.meter_point_id == meter_points.c.id).join(
    meters, meters.c.meter_id == installations.c.meter_id
)
_COLUMN_OF = {"user": "account_id", "name": "name", "region": "region", "zone": "zone"}


def meter_points_with_meters(
    connection: sa.Connection,
    *,
    unclaimed: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[MeterPoint]:
    """Return the meter points with a meter by id, all or those nobody has claimed."""
    wanted = sa.select(*_COLUMNS).select_from(_FROM)
    if unclaimed:
        wanted = wanted.where(meter_points.c.account_id.is_(None))
    ordered = wanted.order_by(meter_points.c.id, meters.c.meter_id)
    return [_point(row) for row in connection.execute(ordered.limit(limit).offset(offset))]


def meter_point(connection: sa.Connection, *, meter_point_id: int) -> MeterPoint:
    """
    Return one meter point with the meter it has now, or had last.

    :raises NotThereError: if there is none.
    """
    return _one(connection, meter_points.c.id == meter_point_id)


def claim_meter(
    connection: sa.Connection,
    *,
    meter_id: int,
    fields: Mapping[str, Any],
    default_zone: str,
    by: int | None,
    now: int,
    region_if_none: str | None = None,
) -> MeterPoint:
    """
    Give the meter to an account and return its meter point; one not seen yet is made.

    :param fields: `user` and, where given, `name`, `region`, `zone`.
    :param region_if_none: where the meter point is from now on unless somebody has placed it.
    :raises WrongFieldError: if somebody has claimed it, or the user or the zone does not exist.
    :raises InUseError: if the zone is to change and days are closed.
    """
    if not connection.execute(sa.select(meters).where(meters.c.meter_id == meter_id)).first():
        regions = {meter_id: region_if_none} if region_if_none else None
        add_meters(connection, [meter_id], zone=default_zone, now=now, regions=regions)
    before = _one(connection, meters.c.meter_id == meter_id)
    # Of two who claim it at the same moment the second sees what the first did.
    held = sa.select(meter_points.c.id).where(meter_points.c.id == before.id).with_for_update()
    connection.execute(held)
    before = _one(connection, meters.c.meter_id == meter_id)
    if before.user is not None:
        raise WrongFieldError("meter_id", "is claimed already")
    if region_if_none and before.region is None:
        fields = {**fields, "region": region_if_none}
    return _change(connection, before, fields, action="claim", by=by, now=now)


def change_meter_point(
    connection: sa.Connection,
    *,
    meter_point_id: int,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> MeterPoint:
    """
    Change a meter point and return it.

    :param changes: `user` (None: unclaimed again), `name`, `region`, `zone`.
    :raises NotThereError: if there is none.
    :raises WrongFieldError: if the user or the zone does not exist.
    :raises InUseError: if the zone is to change and days are closed.
    """
    before = meter_point(connection, meter_point_id=meter_point_id)
    return _change(connection, before, changes, action="change", by=by, now=now)


def _change(
    connection: sa.Connection,
    before: MeterPoint,
    changes: Mapping[str, Any],
    *,
    action: str,
    by: int | None,
    now: int,
) -> MeterPoint:
    if changes.get("user") is not None:
        require_account(connection, changes["user"])
    if changes.get("zone", before.zone) != before.zone:
        _change_zone(connection, before, changes["zone"])
    columns: dict[str, Any] = {_COLUMN_OF[name]: changes[name] for name in changes}
    if changes.get("user", before.user) != before.user:
        columns["claimed_at"] = None if changes["user"] is None else now
    if "region" in changes:
        _change_region(connection, before.id, changes["region"])
    if columns:
        connection.execute(
            sa.update(meter_points).where(meter_points.c.id == before.id).values(columns)
        )
    after = meter_point(connection, meter_point_id=before.id)
    audit.record_change(
        connection,
        by=by,
        action=action,
        subject=f"meter-points/{before.id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def _change_region(connection: sa.Connection, meter_point_id: int, region: str | None) -> None:
    hold_regions(connection, to_change=True)
    # Asked now, with closes and other changes held off: the days move from where they are.
    present = meter_point(connection, meter_point_id=meter_point_id).region
    if present != region:
        move_meter_point(
            connection, meter_point_id=meter_point_id, from_region=present, to_region=region
        )
        mine = sa.select(channels.c.id).where(channels.c.meter_point_id == meter_point_id)
        connection.execute(
            sa.update(silent_channels)
            .where(silent_channels.c.channel_id.in_(mine))
            .values(region=region or NO_REGION)
        )


def _change_zone(connection: sa.Connection, before: MeterPoint, zone: str) -> None:
    try:
        offset_s = grid_offset_s(time_zone(zone))
    except UnknownZoneError as error:
        raise WrongFieldError("zone", str(error)) from None
    hold_regions(connection, to_change=True)  # a close under way goes by the zone it found
    mine = sa.select(channels.c.id).where(channels.c.meter_point_id == before.id)
    if any(_has_closed_day(connection, each) for each in connection.scalars(mine).all()):
        raise InUseError(f"meter point {before.id} has closed days: its zone is fixed")
    # Open readings stand on the old zone's half-hours; nearly all zones share them.
    recorded = sa.select(daybook.c.starts_at).where(daybook.c.channel_id.in_(mine))
    if (
        offset_s != grid_offset_s(time_zone(before.zone))
        and connection.execute(recorded.limit(1)).first()
    ):
        raise InUseError(f"meter point {before.id} has readings on another grid of half-hours")
    connection.execute(
        sa.update(channels).where(channels.c.meter_point_id == before.id).values(zone=zone)
    )
    connection.execute(
        sa.update(installations)
        .where(installations.c.meter_point_id == before.id)
        .values(grid_offset_s=offset_s)
    )


def _has_closed_day(connection: sa.Connection, channel_id: int) -> bool:
    first, last = (
        connection.execute(sa.select(least_or_most(ledger.c.day))).scalar()
        for least_or_most in (sa.func.min, sa.func.max)
    )
    if first is None or last is None:
        return False
    # Days may be there that no close wrote: an import does. Each is a look-up by full key.
    statement = f"""
        SELECT ledger.day FROM {number_source(connection.dialect.name, name="days")}
        CROSS JOIN ledger
        WHERE ledger.day = days.value AND ledger.channel_id = :channel_id LIMIT 1
    """  # noqa: S608 built from our own names only
    asked = {"days": numbers(connection, range(first, last + 1)), "channel_id": channel_id}
    return connection.execute(sa.text(statement), asked).first() is not None


def _one(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> MeterPoint:
    latest = installations.c.installed_at.desc()
    found = sa.select(*_COLUMNS).select_from(_FROM).where(wanted).order_by(latest).limit(1)
    row = connection.execute(found).first()
    if row is None:
        raise NotThereError("meter point")
    return _point(row)


def _point(row: Any) -> MeterPoint:
    return MeterPoint(
        row.id,
        row.meter_id,
        row.account_id,
        row.name,
        row.region,
        row.zone,
        bool(row.has_key),
        utc_text(row.first_seen_at),
    )
