"""
What regions use: energy and completeness by local day, as sums that were kept, never of readings.

    a closed day   what the ledger adds up to, as of the last commit
    an open day    its half-hours, as of the last run of the job (`computed_at`)

Days are local days of each meter point's zone. The figures of all regions, meter points of none
included, add up to those of all meters, to the last Wh.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import day_number, midnight, numbered_day, time_zone
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.rollups.sums import half_hours_in
from meterbook.storage.rollup_tables import (
    region_day_changes,
    region_days,
    region_half_hours,
    region_meters,
)
from meterbook.storage.tables import day_closes

_SUMS = ("energy", "channels", "known", "missing", "estimated")


class RegionDay(msgspec.Struct, frozen=True, gc=False):
    """What the meters of one region used on one local day."""

    day: date
    region: str
    """Empty: meter points of no region."""
    energy_wh: int
    channels: int
    """Meters that reported anything; of an open day, the most of one half hour."""
    known: int
    """Intervals with a reading."""
    expected: int
    """Intervals that have ended, of every meter that was there."""
    estimated: int
    """Of the known intervals."""


class _Sums(msgspec.Struct):
    energy: int = 0
    channels: int = 0
    known: int = 0
    missing: int = 0
    estimated: int = 0


_Key = tuple[int, str, str]


def regional_days(
    connection: sa.Connection, *, first_day: date, end_day: date, now: int
) -> list[RegionDay]:
    """Return each region's days from first_day up to, not including, end_day, oldest first."""
    days = (day_number(first_day), day_number(end_day))
    sums = _closed(connection, *days)
    opened = _opened(connection, *days)
    closes = _closes(connection, *days)
    # An open day counts as the job found it: its readings may be in both books while it closes.
    provisional = {(key[0], key[1]) for key in opened} - closes
    sums = {key: each for key, each in sums.items() if (key[0], key[1]) not in provisional}
    sums |= {key: each for key, each in opened.items() if (key[0], key[1]) in provisional}
    known_meters = _meters_since(connection)
    ended_on: dict[tuple[int, str], int] = {}
    total: dict[tuple[int, str], list[int]] = {}
    for key, each in sums.items():
        of_region = total.setdefault((key[0], key[2]), [0, 0, 0, 0, 0])
        ended = ended_on.get((key[0], key[1]))
        if ended is None:
            ended = ended_on[key[0], key[1]] = _ended_half_hours(key, now=now)
        if (key[0], key[1]) in provisional:
            expected = max(each.known, _meters_of(known_meters, key) * ended)
        else:
            silent = max(0, _meters_of(known_meters, key) - each.channels)
            expected = each.known + each.missing + silent * ended
        parts = (each.energy, each.channels, each.known, expected, each.estimated)
        for index, part in enumerate(parts):
            of_region[index] += part
    return [
        RegionDay(numbered_day(day), region, *figures)
        for (day, region), figures in sorted(total.items())
    ]


def closed_days_of_region(
    connection: sa.Connection, *, region: str, first_day: date, end_day: date
) -> list[RegionDay]:
    """Return those days of a region that are closed in every zone its meters live in."""
    days = (day_number(first_day), day_number(end_day))
    closes = _closes(connection, *days)
    of_region = region_half_hours.c.region == region
    still_open = {
        row.day
        for row in connection.execute(
            sa.select(region_half_hours.c.day, region_half_hours.c.zone)
            .where(of_region, region_half_hours.c.day >= days[0], region_half_hours.c.day < days[1])
            .distinct()
        )
        if (row.day, row.zone) not in closes
    }
    total: dict[int, _Sums] = {}
    for (day, _, _), sums in _closed(connection, *days, region=region).items():
        so_far = msgspec.structs.astuple(total.get(day, _Sums()))
        more = msgspec.structs.astuple(sums)
        total[day] = _Sums(*(a + b for a, b in zip(so_far, more, strict=True)))
    return [
        RegionDay(
            numbered_day(day),
            region,
            sums.energy,
            sums.channels,
            sums.known,
            sums.known + sums.missing,
            sums.estimated,
        )
        for day, sums in sorted(total.items())
        if day not in still_open
    ]


def as_of(connection: sa.Connection) -> int | None:
    """Return when the open days were last summed, UTC epoch seconds; None: never."""
    found: int | None = connection.execute(
        sa.select(sa.func.max(region_half_hours.c.computed_at))
    ).scalar()
    return found


def region_names(connection: sa.Connection) -> list[str]:
    """Return the regions that have meters, by name; empty stands for meter points of none."""
    return list(
        connection.scalars(
            sa.select(region_meters.c.region).distinct().order_by(region_meters.c.region)
        )
    )


def _closed(
    connection: sa.Connection, first: int, end: int, *, region: str | None = None
) -> dict[_Key, _Sums]:
    sums: dict[_Key, _Sums] = {}
    for table in (region_days, region_day_changes):
        found = (
            sa.select(
                table.c.day,
                table.c.zone,
                table.c.region,
                *(sa.func.sum(table.c[name]) for name in _SUMS),
            )
            .where(table.c.day >= first, table.c.day < end)
            .group_by(table.c.day, table.c.zone, table.c.region)
        )
        if region is not None:
            found = found.where(table.c.region == region)
        _add_rows(sums, connection.execute(found))
    return sums


def _opened(connection: sa.Connection, first: int, end: int) -> dict[_Key, _Sums]:
    half_hour = region_half_hours.c
    found = (
        sa.select(
            half_hour.day,
            half_hour.zone,
            half_hour.region,
            sa.func.sum(half_hour.energy),
            sa.func.max(half_hour.known),
            sa.func.sum(half_hour.known),
            sa.literal(0),
            sa.func.sum(half_hour.estimated),
        )
        .where(half_hour.day >= first, half_hour.day < end)
        .group_by(half_hour.day, half_hour.zone, half_hour.region)
    )
    sums: dict[_Key, _Sums] = {}
    _add_rows(sums, connection.execute(found))
    return sums


def _add_rows(sums: dict[_Key, _Sums], rows: Iterable[Sequence[int]]) -> None:
    for row in rows:
        key: _Key = (row[0], str(row[1]), str(row[2]))
        more = [int(part) for part in row[3:]]
        if before := sums.get(key):
            more = [a + b for a, b in zip(msgspec.structs.astuple(before), more, strict=True)]
        sums[key] = _Sums(*more)


def _closes(connection: sa.Connection, first: int, end: int) -> set[tuple[int, str]]:
    found = sa.select(day_closes.c.day, day_closes.c.zone).where(
        day_closes.c.day >= first, day_closes.c.day < end
    )
    return {(row.day, row.zone) for row in connection.execute(found)}


def _meters_since(connection: sa.Connection) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return for each zone and region the days meters came on, and how many had come by then."""
    found = connection.execute(
        sa.select(
            region_meters.c.zone,
            region_meters.c.region,
            region_meters.c.since_day,
            region_meters.c.channels,
        ).order_by(region_meters.c.since_day)
    )
    came: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in found:
        steps = came.setdefault((row.zone, row.region), [])
        steps.append((row.since_day, row.channels + (steps[-1][1] if steps else 0)))
    return came


def _meters_of(came: dict[tuple[str, str], list[tuple[int, int]]], key: _Key) -> int:
    """Return how many meters had come before the day: on their first day nothing is missed yet."""
    day, zone, region = key
    for since, so_far in reversed(came.get((zone, region), ())):
        if since < day:
            return so_far
    return 0


def _ended_half_hours(key: _Key, *, now: int) -> int:
    day, zone, _ = key
    ended = (now - midnight(numbered_day(day), time_zone(zone))) // HALF_HOUR_S
    return max(0, min(half_hours_in(day, zone), ended))
