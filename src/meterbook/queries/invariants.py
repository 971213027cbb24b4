"""
The invariants of the books: what must hold whatever has happened, and what does not.

`meterbook verify` prints what these return. Each streams, so a book of any size can be checked.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay, closed_day
from meterbook.domain.day_tables import stored_days
from meterbook.domain.local_days import (
    day_bounds,
    grid_offset_s,
    is_zone,
    numbered_day,
    time_zone,
)
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.registry.audit import broken_links
from meterbook.rollups.upkeep import broken_rollups, days_in
from meterbook.storage.tables import (
    channels,
    daybook,
    installations,
    ledger,
    ledger_days,
    ledger_revisions,
    meter_points,
    meters,
    superseded_readings,
)

Check = Callable[[sa.Connection], Iterator[str]]
_ROWS_AT_ONCE = 10_000
_DAY_S = 86_400


def broken_ledger_days(connection: sa.Connection) -> Iterator[str]:
    """Find closed days whose energy, gaps or quality are not those of intervals that fill them."""
    for day in days_in(connection, ledger):
        yield from _broken_days(connection, day=day)


def _broken_days(connection: sa.Connection, *, day: int) -> Iterator[str]:
    wanted = _with_what_explains(ledger).where(ledger.c.day == day).order_by(ledger.c.channel_id)
    return _wrong_rows(connection, wanted, book="ledger")


def _with_what_explains(table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(table, channels.c.zone, ledger_days.c.closed_at.label("first_at"))
        .join(channels, channels.c.id == table.c.channel_id, isouter=True)
        .join(ledger_days, ledger_days.c.day == table.c.day, isouter=True)
    )


def _wrong_rows(
    connection: sa.Connection, wanted: sa.Select[*tuple[Any, ...]], *, book: str
) -> Iterator[str]:
    rows = connection.execute(wanted, execution_options={"yield_per": _ROWS_AT_ONCE})
    for some in rows.partitions():
        for row, stored in zip(some, _readable_days(some), strict=True):
            name = f"{book}: channel {row.channel_id}, {numbered_day(row.day)}"
            if row.zone is None:
                yield f"{name}: there is no such channel"
            elif isinstance(stored, ValueError):
                yield f"{name}: cannot be read: {stored}"
            elif row.first_at is None and not row.closed_at:
                yield f"{name}: nothing says when it was closed"
            elif wrong := _wrong(stored, zone=row.zone):
                yield f"{name}: {wrong}"


def _readable_days(rows: Sequence[sa.Row[*tuple[object, ...]]]) -> list[ClosedDay | ValueError]:
    """Return the days of rows, or why one cannot be read."""
    try:
        return [*stored_days(rows)]
    except ValueError as error:
        if len(rows) == 1:
            return [error]
        middle = len(rows) // 2
        return _readable_days(rows[:middle]) + _readable_days(rows[middle:])


def _wrong(day: ClosedDay, *, zone: str) -> str | None:
    try:
        length_s = _day_length_s(day.day, zone)
    except ValueError as error:
        return f"cannot be read: {error}"
    count = len(day.intervals)
    if not count or length_s % count:
        return f"{count} intervals do not fill a day of {length_s} s"
    if day != _recomputed(day):
        return "energy, gaps or quality are not those of its intervals"
    return None


def broken_revisions(connection: sa.Connection) -> Iterator[str]:
    """Find days of revision n that do not have revisions 1 to n - 1 kept, and read as they were."""
    kept = (
        sa.select(
            ledger_revisions.c.day,
            ledger_revisions.c.channel_id,
            sa.func.count().label("kept"),
            sa.func.max(ledger_revisions.c.revision).label("highest"),
        )
        .group_by(ledger_revisions.c.day, ledger_revisions.c.channel_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(ledger.c.day, ledger.c.channel_id, ledger.c.revision, kept.c.kept)
        .join(
            kept,
            sa.and_(kept.c.day == ledger.c.day, kept.c.channel_id == ledger.c.channel_id),
            full=True,
        )
        .where(
            sa.or_(
                ledger.c.revision.is_(None),
                sa.func.coalesce(kept.c.kept, 0) != ledger.c.revision - 1,
                sa.func.coalesce(kept.c.highest, 0) != ledger.c.revision - 1,
            )
        )
    )
    for row in rows:
        yield (
            f"ledger: channel {row.channel_id}, day {row.day}: revision {row.revision}, "
            f"but {row.kept} earlier ones are kept"
        )
    yield from _wrong_rows(
        connection, _with_what_explains(ledger_revisions), book="earlier revision"
    )


def misplaced_readings(connection: sa.Connection) -> Iterator[str]:
    """Find open readings without a channel, or off its grid."""
    # Not by installations: what a home feeds in has none, and a grid all the same.
    offset = _zone_grids(connection, interval_s=_DAY_S)
    rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
        sa.select(daybook.c.channel_id, daybook.c.starts_at, channels.c.id)
        .join(channels, channels.c.id == daybook.c.channel_id, isouter=True)
        .where(
            sa.or_(
                channels.c.id.is_(None),
                (daybook.c.starts_at - offset) % channels.c.interval_s != 0,
            )
        )
    )
    for row in rows:
        reason = "there is no such channel" if row.id is None else "off the grid of its channel"
        yield f"daybook: channel {row.channel_id}, {row.starts_at}: {reason}"


def _zone_grids(connection: sa.Connection, *, interval_s: int) -> sa.ColumnElement[int]:
    """Return where the grid of a channel's zone lies, as a column beside those of channels."""
    zones = connection.scalars(sa.select(channels.c.zone).distinct()).all()
    grids = {
        zone: grid_offset_s(time_zone(zone), interval_s=interval_s)
        for zone in zones
        if is_zone(zone)
    }
    return sa.case(grids, value=channels.c.zone, else_=0) if grids else sa.literal(0)


def lost_superseded_readings(connection: sa.Connection) -> Iterator[str]:
    """Find readings that another took the place of and that belong to no channel."""
    rows = connection.execute(
        sa.select(superseded_readings.c.id)
        .join(channels, channels.c.id == superseded_readings.c.channel_id, isouter=True)
        .where(channels.c.id.is_(None))
    )
    for row in rows:
        yield f"superseded reading {row.id}: there is no such channel"


def broken_installations(connection: sa.Connection) -> Iterator[str]:
    """Find meters that are nowhere, or at two places at once, and places that contradict."""
    homeless = connection.execute(
        sa.select(meters.c.meter_id)
        .join(installations, installations.c.meter_id == meters.c.meter_id, isouter=True)
        .where(installations.c.meter_id.is_(None))
    )
    for row in homeless:
        yield f"meter {row.meter_id}: is installed nowhere"
    other = installations.alias()
    overlapping = connection.execute(
        sa.select(installations.c.meter_id)
        .join(other, other.c.meter_id == installations.c.meter_id)
        .where(
            installations.c.installed_at < other.c.installed_at,
            installations.c.removed_at > other.c.installed_at,
        )
    )
    for row in overlapping:
        yield f"meter {row.meter_id}: is installed at two places at once"
    yield from _contradictions(connection)


def _contradictions(connection: sa.Connection) -> Iterator[str]:
    grid = _zone_grids(connection, interval_s=HALF_HOUR_S)
    places = connection.execute(
        sa.select(installations.c.meter_id, channels.c.id, installations.c.meter_point_id)
        .add_columns(channels.c.meter_point_id.label("of_channel"), channels.c.zone)
        .join(channels, channels.c.id == installations.c.channel_id)
        .where(
            sa.or_(
                channels.c.meter_point_id != installations.c.meter_point_id,
                installations.c.grid_offset_s != grid,
            )
        )
    )
    for row in places:
        if row.of_channel != row.meter_point_id:
            yield f"meter {row.meter_id}: channel {row.id} is another meter point's"
        else:
            yield f"meter {row.meter_id}: its half-hours are not those of {row.zone}"
    elsewhere = connection.execute(
        sa.select(channels.c.id, channels.c.zone, meter_points.c.zone.label("of_point"))
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .where(channels.c.zone != meter_points.c.zone)
    )
    for row in elsewhere:
        yield f"channel {row.id}: is in {row.zone}, its meter point in {row.of_point}"


def damaged_pages(connection: sa.Connection) -> Iterator[str]:
    """Find damage in the SQLite file, and references that lead nowhere."""
    if connection.dialect.name != "sqlite":
        return
    for row in connection.exec_driver_sql("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"SQLite: {row[0]}"
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"SQLite: a row of {row[0]} refers to nothing in {row[2]}"


CHECKS: dict[str, Check] = {
    "database file": damaged_pages,
    "closed days": broken_ledger_days,
    "revisions": broken_revisions,
    "open readings": misplaced_readings,
    "superseded readings": lost_superseded_readings,
    "installations": broken_installations,
    "audit log": broken_links,
    "roll-ups": broken_rollups,
}


def _recomputed(day: ClosedDay) -> ClosedDay:
    if day.qualities is not None and len(day.qualities) != len(day.intervals):
        return closed_day(day.channel_id, day.day, intervals=[], qualities=[])
    qualities = [day.quality_of(index) for index in range(len(day.intervals))]
    return closed_day(day.channel_id, day.day, intervals=day.intervals, qualities=qualities)


@lru_cache(maxsize=4096)
def _day_length_s(number: int, zone: str) -> int:
    begins_at, ends_at = day_bounds(numbered_day(number), time_zone(zone))
    return ends_at - begins_at
