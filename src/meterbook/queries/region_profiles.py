"""
The shape of a regional day: each half hour on the clock of the meters.

The hour that the clock repeats in autumn is there twice, the one it skips in spring is not.
"""

from collections.abc import Iterator
from datetime import date

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import day_number, local_day, local_time, midnight, time_zone
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.rollups.sums import unpacked
from meterbook.storage.rollup_tables import region_day_changes, region_days, region_half_hours
from meterbook.storage.tables import day_closes

_Slot = tuple[str, int]
"""Local time and, of the repeated hour, 1 the second time."""


class ProfilePoint(msgspec.Struct, frozen=True):
    """What a region used in one half hour."""

    begins: str
    """Local time, 18:30; the second time of a repeated hour has a + behind it."""
    energy_wh: int | None
    """None where no meter has reported."""
    reporting: int
    """Meters that have."""


def regional_profile(
    connection: sa.Connection, *, day: date, region: str | None = None
) -> list[ProfilePoint]:
    """
    Return the half-hours of one local day in their order.

    :param region: empty: meter points of none; None: all regions together.
    """
    number = day_number(day)
    closed = set(connection.scalars(sa.select(day_closes.c.zone).where(day_closes.c.day == number)))
    opened: dict[_Slot, list[int]] = {}
    open_zones: set[str] = set()
    for zone, slot, energy, known in _open_slots(connection, number, region):
        if zone not in closed:
            open_zones.add(zone)
            _count(opened, slot, energy, known)
    for zone, slot, energy, known in _closed_slots(connection, day, region):
        if zone not in open_zones:
            _count(opened, slot, energy, known)
    return [
        ProfilePoint(begins + "+" * again, energy if known else None, known)
        for (begins, again), (energy, known) in sorted(opened.items(), key=_order)
    ]


def _order(slot: tuple[_Slot, object]) -> tuple[str, int, str]:
    """Return what puts a repeated hour behind the whole of its first time."""
    begins, again = slot[0]
    return begins[:2], again, begins


def _count(sums: dict[_Slot, list[int]], slot: _Slot, energy: int, known: int) -> None:
    both = sums.setdefault(slot, [0, 0])
    both[0] += energy
    both[1] += known


def _closed_slots(
    connection: sa.Connection, day: date, region: str | None
) -> Iterator[tuple[str, _Slot, int, int]]:
    number = day_number(day)
    for table in (region_days, region_day_changes):
        found = sa.select(table.c.zone, table.c.half_hours, table.c.reporting).where(
            table.c.day == number, sa.true() if region is None else table.c.region == region
        )
        for row in connection.execute(found):
            begins_at = midnight(day, time_zone(row.zone))
            both = zip(unpacked(row.half_hours), unpacked(row.reporting), strict=True)
            for index, (energy, known) in enumerate(both):
                slot = _slot(begins_at + index * HALF_HOUR_S, row.zone)
                yield row.zone, slot, int(energy), int(known)


def _open_slots(
    connection: sa.Connection, number: int, region: str | None
) -> Iterator[tuple[str, _Slot, int, int]]:
    table = region_half_hours
    found = sa.select(table.c.zone, table.c.starts_at, table.c.energy, table.c.known).where(
        table.c.day == number, sa.true() if region is None else table.c.region == region
    )
    for row in connection.execute(found):
        zone = time_zone(row.zone)
        begins_at = midnight(local_day(row.starts_at, zone), zone)
        start = row.starts_at - (row.starts_at - begins_at) % HALF_HOUR_S
        yield row.zone, _slot(start, row.zone), row.energy, row.known


def _slot(starts_at: int, zone: str) -> _Slot:
    local = local_time(starts_at, time_zone(zone))
    return f"{local:%H:%M}", local.fold
