"""
Meters that push packets, and the channel each one's packets go to.

A packet of a meter nobody registered makes an unclaimed meter point, so that nothing it sends is
lost; whoever claims the meter later finds it all.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import grid_offset_s, time_zone
from meterbook.domain.readings import HALF_HOUR_S, Counting, Flow
from meterbook.storage.dialects import batch, insert_rows, new_ids
from meterbook.storage.tables import (
    ALWAYS_AFTER,
    ALWAYS_BEFORE,
    channels,
    installations,
    meter_keys,
    meter_points,
    meters,
)

ACTIVE_ENERGY = "active_energy"
_POINT_COLUMNS = ("id", "region", "zone", "created_at")
_CHANNEL_COLUMNS = (
    "id", "meter_point_id", "measurement", "flow", "counting", "unit", "interval_s", "zone",
)  # fmt: skip
_INSTALLATION_COLUMNS = (
    "meter_id", "meter_point_id", "channel_id", "installed_at", "removed_at", "grid_offset_s",
)  # fmt: skip


class UnknownMeterError(LookupError):
    """No meter of that number has ever been registered or sent anything."""

    def __init__(self, *, meter_id: int) -> None:
        super().__init__(f"meter {meter_id} is not known")
        self.meter_id = meter_id


class Installation(msgspec.Struct, frozen=True, gc=False):
    """A meter at a meter point for a time."""

    meter_id: int
    key_hash: str | None
    installed_at: int
    removed_at: int
    meter_point_id: int
    channel_id: int
    grid_offset_s: int


def installations_of(
    connection: sa.Connection, meter_ids: Collection[int]
) -> dict[int, list[Installation]]:
    """Return the installations of those meters that are known, oldest first."""
    rows = [(meter_id,) for meter_id in sorted(set(meter_ids))]
    source, parameters = batch(connection, columns={"meter_id": "bigint"}, rows=rows)
    statement = f"""
        SELECT installations.meter_id, meter_keys.key_hash, installed_at, removed_at,
               meter_point_id, channel_id, grid_offset_s
        FROM {source} CROSS JOIN installations
        LEFT JOIN meter_keys ON meter_keys.meter_id = installations.meter_id
        WHERE installations.meter_id = batch.meter_id
        ORDER BY installations.meter_id, installed_at
    """  # noqa: S608 built from our own names only
    found: dict[int, list[Installation]] = {}
    for row in connection.execute(sa.text(statement), parameters):
        found.setdefault(row.meter_id, []).append(Installation(*row))
    return found


def refused_meters(
    connection: sa.Connection, meter_ids: Collection[int], *, key_hash: str | None
) -> set[int]:
    """Return which of the meters this key, or no key, may not write."""
    rows = [(meter_id,) for meter_id in sorted(set(meter_ids))]
    source, parameters = batch(connection, columns={"meter_id": "bigint"}, rows=rows)
    statement = f"""
        SELECT batch.meter_id FROM {source}
        LEFT JOIN meter_keys ON meter_keys.meter_id = batch.meter_id
        WHERE meter_keys.key_hash IS DISTINCT FROM CAST(:key_hash AS text)
    """  # noqa: S608 built from our own names only
    return set(connection.scalars(sa.text(statement), parameters | {"key_hash": key_hash}))


def installation_at(known: Sequence[Installation], instant: int) -> Installation:
    """
    Return the installation of an instant.

    Between two installations, and after the last, the one before counts: a packet is never
    without a home.
    """
    chosen = known[0]
    for installation in known:
        if installation.installed_at <= instant:
            chosen = installation
    return chosen


def add_meters(
    connection: sa.Connection,
    meter_ids: Collection[int],
    *,
    zone: str,
    now: int,
    regions: Mapping[int, str] | None = None,
) -> None:
    """
    Make an unclaimed meter point, its import channel and the meter for each new number.

    :raises sqlalchemy.exc.IntegrityError: if one of them is known already.
    :raises UnknownZoneError: if there is no such zone.
    """
    numbers = sorted(set(meter_ids))
    if not numbers:
        return
    offset = grid_offset_s(time_zone(zone))
    point_ids = new_ids(connection, meter_points, len(numbers))
    channel_ids = new_ids(connection, channels, len(numbers))
    insert_rows(
        connection,
        meter_points,
        [
            (point_id, (regions or {}).get(number), zone, now)
            for number, point_id in zip(numbers, point_ids, strict=True)
        ],
        columns=_POINT_COLUMNS,
    )
    counted = (ACTIVE_ENERGY, int(Flow.IMPORT), int(Counting.INTERVAL), "Wh", HALF_HOUR_S, zone)
    rows = [ids + counted for ids in zip(channel_ids, point_ids, strict=True)]
    insert_rows(connection, channels, rows, columns=_CHANNEL_COLUMNS)
    new = [(number, now) for number in numbers]
    insert_rows(connection, meters, new, columns=("meter_id", "first_seen_at"))
    installed = [
        (*ids, ALWAYS_BEFORE, ALWAYS_AFTER, offset)
        for ids in zip(numbers, point_ids, channel_ids, strict=True)
    ]
    insert_rows(connection, installations, installed, columns=_INSTALLATION_COLUMNS)


def export_channels(connection: sa.Connection, point_ids: Collection[int]) -> dict[int, int]:
    """Return the channel of what each meter point feeds in, made first where there is none."""
    fed_in = (ACTIVE_ENERGY, int(Flow.EXPORT), int(Counting.INTERVAL))
    points = connection.execute(
        sa.select(meter_points.c.id, meter_points.c.zone, channels.c.id.label("channel_id"))
        .outerjoin(
            channels,
            (channels.c.meter_point_id == meter_points.c.id)
            & (sa.tuple_(channels.c.measurement, channels.c.flow, channels.c.counting) == fed_in),
        )
        .where(meter_points.c.id.in_(sorted(point_ids)))
        .order_by(meter_points.c.id)
    ).all()
    found = {row.id: row.channel_id for row in points if row.channel_id is not None}
    strangers = [row for row in points if row.channel_id is None]
    numbers = new_ids(connection, channels, len(strangers)) if strangers else []
    rows = [
        (number, row.id, *fed_in, "Wh", HALF_HOUR_S, row.zone)
        for number, row in zip(numbers, strangers, strict=True)
    ]
    insert_rows(connection, channels, rows, columns=_CHANNEL_COLUMNS)
    return found | {row.id: number for number, row in zip(numbers, strangers, strict=True)}


def zones_of(connection: sa.Connection, meter_ids: Collection[int]) -> dict[int, str]:
    """Return the IANA zone of those meters that are known, where they are now."""
    rows = [(meter_id,) for meter_id in sorted(set(meter_ids))]
    source, parameters = batch(connection, columns={"meter_id": "bigint"}, rows=rows)
    statement = f"""
        SELECT installations.meter_id, channels.zone
        FROM {source} CROSS JOIN installations CROSS JOIN channels
        WHERE installations.meter_id = batch.meter_id AND channels.id = installations.channel_id
        ORDER BY installations.meter_id, installations.installed_at
    """  # noqa: S608 built from our own names only
    return {row.meter_id: row.zone for row in connection.execute(sa.text(statement), parameters)}


def claim_meters(
    connection: sa.Connection, meter_ids: Collection[int], *, account_id: int, now: int
) -> None:
    """Give the meter points where the meters are now to the account."""
    there = sa.select(installations.c.meter_point_id).where(
        installations.c.meter_id.in_(sorted(meter_ids)), installations.c.removed_at == ALWAYS_AFTER
    )
    connection.execute(
        sa.update(meter_points)
        .where(meter_points.c.id.in_(there))
        .values(account_id=account_id, claimed_at=now)
    )


def set_meter_key(connection: sa.Connection, *, meter_id: int, key_hash: str | None) -> None:
    """
    Give the meter a key, or take it away: from then on packets must, or need not, carry it.

    :raises UnknownMeterError: if there is no such meter.
    """
    if not connection.scalar(sa.select(sa.exists().where(meters.c.meter_id == meter_id))):
        raise UnknownMeterError(meter_id=meter_id)
    if key_hash is None:
        connection.execute(sa.delete(meter_keys).where(meter_keys.c.meter_id == meter_id))
        return
    statement = sa.text("""
        INSERT INTO meter_keys (meter_id, key_hash) VALUES (:meter_id, :key_hash)
        ON CONFLICT (meter_id) DO UPDATE SET key_hash = excluded.key_hash
    """)
    connection.execute(statement, {"meter_id": meter_id, "key_hash": key_hash})
