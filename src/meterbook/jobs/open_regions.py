"""
Regions' open days: each half hour of a day not closed yet, summed over the books as they stand.

A half hour is summed again only when its readings have changed: counting them is a walk along
the key, summing them by region looks up every meter.
"""

from collections.abc import Collection, Iterator
from datetime import date

import msgspec
import sqlalchemy as sa

from meterbook import daybook
from meterbook.day_close import is_closed, zones
from meterbook.domain.local_days import day_bounds, day_number, local_day, time_zone
from meterbook.domain.readings import ESTIMATED, HALF_HOUR_S
from meterbook.rollups.changes import is_counted
from meterbook.rollups.sums import NO_REGION, DaySums
from meterbook.rollups.upkeep import kept_sums
from meterbook.storage import tables
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch, insert_rows
from meterbook.storage.rollup_tables import region_half_hours
from meterbook.storage.tables import channels, ledger, meter_points

Marks = dict[tuple[int, str], tuple[int, ...]]
"""What each half hour of a zone was made of when it was last summed."""


class _OpenDay(msgspec.Struct, frozen=True):
    day: date
    zone: str
    starts: list[int]
    """Of the intervals that have readings in the daybook."""
    closed: dict[str, DaySums]
    """What is in the ledger already, by region: imports, or a close under way."""


def sum_open_days(database: Database, *, marks: Marks, now: int) -> Marks:
    """
    Sum what has changed and return the new marks; forgets half-hours that are no longer open.

    :param marks: what the run before returned; empty sums everything.
    """
    found: Marks = {}
    rows: dict[tuple[int, str], list[tuple[object, ...]]] = {}
    with database.reading() as connection:
        for opened in _open_days(connection, now=now):
            for start in opened.starts:
                key = (start, opened.zone)
                found[key] = _mark(connection, opened, start)
                if marks.get(key) != found[key]:
                    rows[key] = _summed(connection, opened, start, now=now)
        # Of days closed since, and what an import, a withdrawn edit or a new zone took away.
        gone = _standing(connection) - found.keys()
    with database.writing() as connection:
        _replace(connection, rows, gone=gone)
    return found


def _open_days(connection: sa.Connection, *, now: int) -> Iterator[_OpenDay]:
    starts = daybook.open_interval_starts(connection, starts_at=0, ends_at=now + HALF_HOUR_S)
    for name in zones(connection):
        zone = time_zone(name)
        by_day: dict[date, set[int]] = {}
        for start in starts:
            by_day.setdefault(local_day(start, zone), set()).add(start)
        for day, of_day in sorted(by_day.items()):
            if is_closed(connection, day=day, zone=name):
                continue
            kept = kept_sums(connection, day=day_number(day))
            closed = {
                region: sums for (_, of_zone, region), sums in kept.items() if of_zone == name
            }
            if closed:
                of_day |= set(range(*day_bounds(day, zone), HALF_HOUR_S))
            yield _OpenDay(day, name, sorted(of_day), closed)


def _mark(connection: sa.Connection, opened: _OpenDay, start: int) -> tuple[int, ...]:
    count, latest = connection.execute(
        sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.max(tables.daybook.c.received_at_ms), 0)
        ).where(tables.daybook.c.starts_at == start)
    ).one()
    in_ledger = [(sums.energy, sums.channels, sums.known) for sums in opened.closed.values()]
    return (count, latest, *(sum(part) for part in zip(*in_ledger, strict=True)))


def _summed(
    connection: sa.Connection, opened: _OpenDay, start: int, *, now: int
) -> list[tuple[object, ...]]:
    number = day_number(opened.day)
    row = tables.daybook.c
    region = sa.func.coalesce(meter_points.c.region, NO_REGION)
    wanted = (
        sa.select(
            region,
            sa.func.sum(row.amount),
            sa.func.count(),
            sa.func.sum(sa.case((row.quality.in_([int(q) for q in ESTIMATED]), 1), else_=0)),
        )
        .join(channels, channels.c.id == row.channel_id)
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .where(row.starts_at == start, channels.c.zone == opened.zone, is_counted())
        .group_by(region)
    )
    if opened.closed:  # nothing counts twice: late readings of these channels wait for the close
        closed = sa.select(ledger.c.channel_id).where(
            ledger.c.day == number, ledger.c.channel_id == row.channel_id
        )
        wanted = wanted.where(~sa.exists(closed))
    sums = {
        str(found[0]): [int(part) for part in found[1:]] for found in connection.execute(wanted)
    }
    slot, rest = divmod(start - day_bounds(opened.day, time_zone(opened.zone))[0], HALF_HOUR_S)
    for name, kept in opened.closed.items():
        if rest == 0 and slot < len(kept.half_hours) and kept.reporting[slot]:
            both = sums.setdefault(name, [0, 0, 0])
            both[0] += int(kept.half_hours[slot])
            both[1] += int(kept.reporting[slot])
    return [(start, number, opened.zone, name, *parts, now) for name, parts in sums.items()]


def _standing(connection: sa.Connection) -> set[tuple[int, str]]:
    keys = sa.select(region_half_hours.c.starts_at, region_half_hours.c.zone).distinct()
    return {(row.starts_at, row.zone) for row in connection.execute(keys)}


def _replace(
    connection: sa.Connection,
    rows: dict[tuple[int, str], list[tuple[object, ...]]],
    *,
    gone: Collection[tuple[int, str]],
) -> None:
    columns = {"starts_at": "bigint", "zone": "text"}
    source, parameters = batch(connection, columns=columns, rows=sorted({*rows, *gone}))
    statement = f"""
        DELETE FROM region_half_hours
        WHERE (starts_at, zone) IN (SELECT starts_at, zone FROM {source})
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters)
    insert_rows(connection, region_half_hours, [row for some in rows.values() for row in some])
