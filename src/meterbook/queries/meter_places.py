"""Where a meter's readings are, and who may see them."""

from collections.abc import Sequence
from functools import cache

import msgspec
import sqlalchemy as sa

from meterbook.domain.readings import Counting, Flow
from meterbook.registry.meters import ACTIVE_ENERGY
from meterbook.storage.dialects import number_source, numbers
from meterbook.storage.driver_rows import driver_rows
from meterbook.storage.tables import channels, installations, meter_points


class MeterPlace(msgspec.Struct, frozen=True):
    """The meter point a meter is installed at now, with the channel of its consumption."""

    meter_id: int
    meter_point_id: int
    channel_id: int
    interval_s: int
    zone: str
    region: str | None
    name: str | None
    account_id: int | None
    """The owner; None while nobody has claimed it."""


_EXPORT = sa.select(channels.c.id, channels.c.interval_s).where(
    channels.c.meter_point_id == sa.bindparam("meter_point_id"),
    channels.c.measurement == ACTIVE_ENERGY,
    channels.c.flow == int(Flow.EXPORT),
    channels.c.counting == int(Counting.INTERVAL),
)


def meter_place(connection: sa.Connection, *, meter_id: int) -> MeterPlace | None:
    """Return where the meter is installed, or was last; None if it is not known."""
    return meter_places(connection, [meter_id]).get(meter_id)


def meter_places(connection: sa.Connection, meter_ids: Sequence[int]) -> dict[int, MeterPlace]:
    """Return where those of the meters that are known are installed, or were last."""
    asked = {"ids": numbers(connection, meter_ids)}
    found = driver_rows(connection, _places(connection.dialect.name), asked)
    return {row[0]: MeterPlace(*row) for row in found}  # the last one installed stays


@cache
def _places(dialect_name: str) -> sa.TextClause:
    return sa.text(f"""
        SELECT installations.meter_id, meter_points.id, channels.id, channels.interval_s,
               channels.zone, meter_points.region, meter_points.name, meter_points.account_id
        FROM {number_source(dialect_name, name="ids")} CROSS JOIN installations
        JOIN meter_points ON meter_points.id = installations.meter_point_id
        JOIN channels ON channels.id = installations.channel_id
        WHERE installations.meter_id = ids.value ORDER BY installations.installed_at
    """)  # noqa: S608 built from our own names only


def export_place(connection: sa.Connection, *, place: MeterPlace) -> MeterPlace | None:
    """Return the same place with the channel of what it exports; None if it has none."""
    row = connection.execute(_EXPORT, {"meter_point_id": place.meter_point_id}).first()
    if row is None:
        return None
    return msgspec.structs.replace(place, channel_id=row.id, interval_s=row.interval_s)


def meters_of_account(connection: sa.Connection, *, account_id: int) -> list[int]:
    """Return the numbers of the meters at the account's meter points."""
    return list(
        connection.scalars(
            sa.select(installations.c.meter_id)
            .join(meter_points, meter_points.c.id == installations.c.meter_point_id)
            .where(meter_points.c.account_id == account_id)
            .order_by(installations.c.meter_id)
        )
    )
