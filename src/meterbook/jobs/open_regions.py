"""
Regions' open days: each half hour of a day not closed yet, summed over the books as they stand.

A half hour is summed again only when its readings have changed: counting them is a walk along
the key, summing them by region looks up every meter.
"""

from collections.abc import Collection
from datetime import date
from functools import lru_cache, partial

import msgspec
import sqlalchemy as sa

from meterbook import daybook
from meterbook.day_close import is_closed, zones
from meterbook.domain.local_days import day_bounds, day_number, local_day, time_zone
from meterbook.domain.readings import ESTIMATED, HALF_HOUR_S
from meterbook.jobs.pace import Pace
from meterbook.rollups.changes import COUNTED
from meterbook.rollups.sums import NO_REGION, DaySums
from meterbook.rollups.upkeep import kept_sums
from meterbook.storage import tables
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch, insert_rows
from meterbook.storage.rollup_tables import region_half_hours

Marks = dict[tuple[int, str], tuple[int, ...]]
"""What each half hour of a zone was made of when it was last summed."""


class _OpenDay(msgspec.Struct, frozen=True):
    day: date
    zone: str
    closed: dict[str, DaySums]
    """What is in the ledger already, by region: imports, or a close under way."""


_HalfHour = tuple[int, date, str]
"""Start, and the day it belongs to in the zone."""


def sum_open_days(database: Database, *, marks: Marks, now: int, pace: Pace) -> Marks:
    """
    Sum what has changed and return the new marks; forgets half-hours that are no longer open.

    The newest half hours come first, each as the books are when its turn comes.

    :param marks: what the run before returned; empty sums everything.
    """
    with database.reading() as connection:
        waiting = _half_hours(connection, now=now)
        # Of days closed since, and what an import, a withdrawn edit or a new zone took away.
        opened = {(start, zone) for start, _, zone in waiting}
        gone = _standing(connection) - opened
    found = {key: mark for key, mark in marks.items() if key in opened}
    _replace(database, {}, gone=gone)
    while waiting:
        rows: dict[tuple[int, str], list[tuple[object, ...]]] = {}
        with database.reading() as connection:
            open_day = lru_cache(partial(_open_day, connection))
            is_over = False
            while waiting and not is_over:
                start, day, zone = waiting.pop()
                opened_day = open_day(day, zone)
                mark = _mark(connection, opened_day, start) if opened_day else None
                if opened_day and mark and found.get((start, zone)) != mark:
                    rows[start, zone] = _summed(connection, opened_day, start, now=now)
                    found[start, zone] = mark
                is_over = pace.is_over()  # after one at least, however slow the database is
        _replace(database, rows)
        if not pace.may_go_on():
            break
    return found


def _half_hours(connection: sa.Connection, *, now: int) -> list[_HalfHour]:
    """Return the half hours of open days that have readings in either book, the newest last."""
    starts = daybook.open_interval_starts(connection, starts_at=0, ends_at=now + HALF_HOUR_S)
    half_hours: list[_HalfHour] = []
    for name in zones(connection):
        zone = time_zone(name)
        by_day: dict[date, set[int]] = {}
        for start in starts:
            by_day.setdefault(local_day(start, zone), set()).add(start)
        for day, of_day in by_day.items():
            opened = _open_day(connection, day, name)
            if opened is None:
                continue
            if opened.closed:
                of_day |= set(range(*day_bounds(day, zone), HALF_HOUR_S))
            half_hours += [(start, day, name) for start in of_day]
    return sorted(half_hours)


def _open_day(connection: sa.Connection, day: date, zone: str) -> _OpenDay | None:
    if is_closed(connection, day=day, zone=zone):
        return None
    kept = kept_sums(connection, day=day_number(day))
    closed = {region: sums for (_, of_zone, region), sums in kept.items() if of_zone == zone}
    return _OpenDay(day, zone, closed)


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
    # CROSS JOIN fixes SQLite's order: its planner would look up every channel of the zone.
    estimated = ", ".join(str(int(quality)) for quality in ESTIMATED)
    wanted = f"""
        SELECT coalesce(meter_points.region, '{NO_REGION}') AS region, sum(daybook.amount),
               count(*), count(CASE WHEN daybook.quality IN ({estimated}) THEN 1 END)
        FROM daybook CROSS JOIN channels CROSS JOIN meter_points
        WHERE daybook.starts_at = :start AND channels.id = daybook.channel_id
          AND channels.zone = :zone AND {COUNTED} AND meter_points.id = channels.meter_point_id
    """  # noqa: S608 built from our own names only
    number = day_number(opened.day)
    asked: dict[str, object] = {"start": start, "zone": opened.zone}
    if opened.closed:  # nothing counts twice: late readings of these channels wait for the close
        wanted += """AND NOT EXISTS (SELECT 1 FROM ledger
            WHERE ledger.day = :day AND ledger.channel_id = daybook.channel_id)"""
        asked["day"] = number
    found = connection.execute(sa.text(f"{wanted} GROUP BY 1"), asked)
    sums = {str(row[0]): [int(part) for part in row[1:]] for row in found}
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
    database: Database,
    rows: dict[tuple[int, str], list[tuple[object, ...]]],
    *,
    gone: Collection[tuple[int, str]] = (),
) -> None:
    if not rows and not gone:
        return
    with database.writing() as connection:
        columns = {"starts_at": "bigint", "zone": "text"}
        source, parameters = batch(connection, columns=columns, rows=sorted({*rows, *gone}))
        statement = f"""
            DELETE FROM region_half_hours
            WHERE (starts_at, zone) IN (SELECT starts_at, zone FROM {source})
        """  # noqa: S608 built from our own names only
        connection.execute(sa.text(statement), parameters)
        inserted = [row for some in rows.values() for row in some]
        insert_rows(connection, region_half_hours, inserted)
