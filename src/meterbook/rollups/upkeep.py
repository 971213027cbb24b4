"""Upkeep of roll-ups: settled after a close, computed again from the ledger, compared to it."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay
from meterbook.domain.day_tables import stored_days, table_of
from meterbook.domain.local_days import numbered_day, time_zone
from meterbook.rollups.changes import hold_sums, is_counted, put_days, settle
from meterbook.rollups.sums import NO_REGION, DaySums, RegionDayKey, add, stored_sums, sums_of_days
from meterbook.storage.database import Database
from meterbook.storage.rollup_tables import region_day_changes, region_days
from meterbook.storage.tables import channels, ledger, meter_points

_ROWS_AT_ONCE = 5_000


class UnsummableDayError(ValueError):
    """A closed day of which something cannot be read."""

    def __init__(self, day: int, reason: Exception) -> None:
        super().__init__(f"{numbered_day(day)} cannot be summed: {reason}; run: meterbook verify")
        self.day = day


def settle_all(database: Database) -> None:
    """Move every change into the day it changes, in small transactions."""
    with database.reading() as connection:
        if not connection.execute(sa.select(region_day_changes.c.id).limit(1)).first():
            return
    while True:
        with database.writing() as connection:
            if not settle(connection):
                return


def rebuild(database: Database, *, on_day: Callable[[int], None] = lambda _day: None) -> int:
    """
    Compute the roll-ups of every closed day again from the ledger, and return how many days.

    One transaction for each day; a day's writers wait while it is summed.

    :param on_day: called after each day with its number.
    :raises UnsummableDayError: naming the first day that cannot be read; those before it are done.
    """
    with database.reading() as connection:
        days = _days_of_books_and_sums(connection)
    for day in days:
        with database.writing() as connection:
            hold_sums(connection)
            connection.execute(sa.delete(region_day_changes).where(region_day_changes.c.day == day))
            connection.execute(sa.delete(region_days).where(region_days.c.day == day))
            try:
                sums = summed_from_ledger(connection, day=day)
            except ValueError as error:
                raise UnsummableDayError(day, error) from error
            put_days(connection, sums)
        on_day(day)
    return len(days)


def broken_rollups(connection: sa.Connection) -> Iterator[str]:
    """Find regional sums of closed days that are not those of the ledger."""
    for day in _days_of_books_and_sums(connection):
        try:
            kept = kept_sums(connection, day=day)
            for key, sums in summed_from_ledger(connection, day=day).items():
                add(kept, key, sums, times=-1)
        except (ValueError, TypeError) as error:  # what cannot be read, or has gaps
            yield f"roll-ups: {numbered_day(day)}: cannot be summed: {error}"
            continue
        for (_, zone, region), difference in sorted(kept.items(), key=lambda item: item[0]):
            if not difference.is_nothing():
                yield (
                    f"roll-ups: {region or 'no region'}, {numbered_day(day)} in {zone}: "
                    f"{difference.energy} Wh and {difference.channels} channels more than the "
                    "ledger, or other half-hours; run: meterbook rollups rebuild"
                )


def _days_of_books_and_sums(connection: sa.Connection) -> list[int]:
    days = {*days_in(connection, ledger), *days_in(connection, region_days)}
    return sorted(days.union(connection.scalars(sa.select(region_day_changes.c.day).distinct())))


def kept_sums(connection: sa.Connection, *, day: int) -> dict[RegionDayKey, DaySums]:
    """Return the sums of one day as they are kept, changes included."""
    sums: dict[RegionDayKey, DaySums] = {}
    for table in (region_days, region_day_changes):
        for row in connection.execute(sa.select(table).where(table.c.day == day)):
            add(sums, (row.day, row.zone, row.region), stored_sums(row))
    return sums


def summed_from_ledger(connection: sa.Connection, *, day: int) -> dict[RegionDayKey, DaySums]:
    """Return the sums of one day, from every row of the ledger; memory does not grow with them."""
    sums: dict[RegionDayKey, DaySums] = {}
    # One answer as a stream: page after page Citus would ask every shard for each page.
    wanted = (
        sa.select(ledger, channels.c.zone, meter_points.c.region)
        .join(channels, channels.c.id == ledger.c.channel_id)
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .where(ledger.c.day == day, is_counted())
    )
    # Not of the connection: what its caller does next is none of a stream.
    rows = connection.execute(wanted, execution_options={"yield_per": _ROWS_AT_ONCE})
    for some in rows.partitions():
        by_zone: dict[str, list[ClosedDay]] = {}
        for row, closed in zip(some, stored_days(some), strict=True):
            by_zone.setdefault(row.zone, []).append(closed)
        region_of = {row.channel_id: row.region or NO_REGION for row in some}
        for zone, days in by_zone.items():
            table = table_of(days)
            for key, part in sums_of_days(table, region_of=region_of, zone=time_zone(zone)).items():
                add(sums, key, part)
    return sums


def days_in(connection: sa.Connection, table: sa.Table) -> list[int]:
    """
    Return the days that a table whose key begins with `day` has rows of, rising.

    Jumps from day to day: the cost grows with the days, not with the rows.
    """
    days: list[int] = []
    day = connection.execute(sa.select(sa.func.min(table.c.day))).scalar()
    while day is not None:
        days.append(int(day))
        day = connection.execute(
            sa.select(sa.func.min(table.c.day)).where(table.c.day > day)
        ).scalar()
    return days
