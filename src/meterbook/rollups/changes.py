"""
How roll-ups follow the ledger: each writer adds what it changes, in its own transaction.

    ledger rows + region_day_changes ── one commit ──►  readers sum region_days and the changes
                                                        `settle` moves the changes into region_days

So a roll-up is right at every instant, also after a kill: there is no moment between the two.
Changes are only inserted, so that closes and imports never wait for each other's sums.
"""

from collections.abc import Collection, Iterable, Sequence
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from meterbook.domain.closed_days import ClosedDay
from meterbook.domain.day_tables import DayTable, stored_days, table_of
from meterbook.domain.reading_columns import distinct
from meterbook.domain.readings import Counting, Flow
from meterbook.rollups.sums import (
    KEY_NAMES,
    NO_REGION,
    SUM_NAMES,
    DaySums,
    RegionDayKey,
    add,
    rows_of,
    stored_sums,
    sums_of_days,
)
from meterbook.storage.dialects import batch, hold_table, hold_until_commit, insert_rows
from meterbook.storage.rollup_tables import region_day_changes, region_days
from meterbook.storage.tables import channels, ledger

ACTIVE_ENERGY = "active_energy"
# Which channels count: what customers used, by the interval.
COUNTED = (
    f"channels.measurement = '{ACTIVE_ENERGY}' AND channels.flow = {int(Flow.IMPORT)}"
    f" AND channels.counting = {int(Counting.INTERVAL)}"
)
_COLUMNS = (*KEY_NAMES, *SUM_NAMES)
_SETTLE_LOCK = 0x4D425255  # "MBRU": one transaction at a time moves changes
_CHANGES_AT_ONCE = 5_000
_DAYS_A_STATEMENT = 5_000


def hold_regions(connection: sa.Connection, *, to_change: bool = False) -> None:
    """
    Let no meter point change its region or zone until this transaction ends; call it first.

    :param to_change: this is the transaction that changes one; waits for closes and imports.
    """
    hold_table(connection, region_day_changes, alone=to_change)


def hold_sums(connection: sa.Connection) -> None:
    """Let nobody write the roll-ups, settling included, until this transaction ends; first."""
    # Without it `settle` would add to a day what it read before, and the new sums have already.
    hold_until_commit(connection, lock_number=_SETTLE_LOCK)
    hold_regions(connection, to_change=True)


def count_days(
    connection: sa.Connection,
    *,
    added: DayTable,
    removed: DayTable,
    zone: ZoneInfo,
) -> None:
    """Add to the roll-ups what has been written to the ledger, less what it took the place of."""
    region_of = counted_channels(connection, distinct(added.channel_id).tolist())
    sums = sums_of_days(added, region_of=region_of, zone=zone)
    for key, less in sums_of_days(removed, region_of=region_of, zone=zone).items():
        add(sums, key, less, times=-1)
    _insert(connection, sums)


def counted_channels(connection: sa.Connection, channel_ids: Collection[int]) -> dict[int, str]:
    """Return the region of those channels that count what customers used; '' where none."""
    rows = [(channel_id,) for channel_id in sorted(channel_ids)]
    source, parameters = batch(connection, columns={"channel_id": "bigint"}, rows=rows)
    statement = f"""
        SELECT channels.id, coalesce(meter_points.region, '{NO_REGION}')
        FROM {source} CROSS JOIN channels CROSS JOIN meter_points
        WHERE channels.id = batch.channel_id AND meter_points.id = channels.meter_point_id
          AND {COUNTED}
    """  # noqa: S608 built from our own names only
    return {row[0]: row[1] for row in connection.execute(sa.text(statement), parameters)}


def is_counted() -> sa.TextClause:
    """Say which channels count, for a statement made of parts."""
    return sa.text(COUNTED)


def move_meter_point(
    connection: sa.Connection,
    *,
    meter_point_id: int,
    from_region: str | None,
    to_region: str | None,
) -> None:
    """Move every closed day of a meter point from one region to another."""
    mine = sa.select(channels.c.id, channels.c.zone).where(
        channels.c.meter_point_id == meter_point_id, is_counted()
    )
    moved: dict[RegionDayKey, DaySums] = {}
    for channel_id, zone in connection.execute(mine).all():
        days = table_of(list(_closed_days(connection, channel_id=channel_id)))
        for region, times in ((from_region, -1), (to_region, 1)):
            region_of = {channel_id: region or NO_REGION}
            for key, sums in sums_of_days(days, region_of=region_of, zone=ZoneInfo(zone)).items():
                add(moved, key, sums, times=times)
    _insert(connection, moved)


def settle(connection: sa.Connection) -> int:
    """
    Move some of the changes into the days they change, and return how many; 0 when all are.

    No figure changes: readers see the sum of both.
    """
    hold_until_commit(connection, lock_number=_SETTLE_LOCK)
    rows = connection.execute(
        sa.select(region_day_changes).order_by(region_day_changes.c.id).limit(_CHANGES_AT_ONCE)
    ).all()
    sums: dict[RegionDayKey, DaySums] = {}
    for row in rows:
        add(sums, (row.day, row.zone, row.region), stored_sums(row))
    for row in _standing(connection, sums):
        add(sums, (row.day, row.zone, row.region), stored_sums(row))
    put_days(connection, sums)
    _delete(connection, [row.id for row in rows])
    return len(rows)


def put_days(connection: sa.Connection, sums: dict[RegionDayKey, DaySums]) -> None:
    """Write the days of these keys in the place of what is there; nothing leaves no row."""
    columns = {"day": "integer", "zone": "text", "region": "text"}
    source, parameters = batch(connection, columns=columns, rows=sorted(sums))
    names = ", ".join(KEY_NAMES)
    statement = f"DELETE FROM region_days WHERE ({names}) IN (SELECT {names} FROM {source})"  # noqa: S608 our own names
    connection.execute(sa.text(statement), parameters)
    insert_rows(connection, region_days, rows_of(sums), columns=_COLUMNS)


def _insert(connection: sa.Connection, sums: dict[RegionDayKey, DaySums]) -> None:
    insert_rows(connection, region_day_changes, rows_of(sums), columns=_COLUMNS)


def _standing(
    connection: sa.Connection, keys: Iterable[RegionDayKey]
) -> Sequence[sa.Row[*tuple[object, ...]]]:
    columns = {"day": "integer", "zone": "text", "region": "text"}
    source, parameters = batch(connection, columns=columns, rows=sorted(keys))
    statement = f"""
        SELECT region_days.* FROM {source} CROSS JOIN region_days
        WHERE region_days.day = batch.day AND region_days.zone = batch.zone
          AND region_days.region = batch.region
    """  # noqa: S608 built from our own names only
    return connection.execute(sa.text(statement), parameters).all()


def _delete(connection: sa.Connection, ids: Sequence[int]) -> None:
    source, parameters = batch(connection, columns={"id": "bigint"}, rows=[(n,) for n in ids])
    statement = f"DELETE FROM region_day_changes WHERE id IN (SELECT id FROM {source})"  # noqa: S608 our own names
    connection.execute(sa.text(statement), parameters)


def _closed_days(connection: sa.Connection, *, channel_id: int) -> Iterable[ClosedDay]:
    first, last = (
        connection.execute(sa.select(least_or_most(ledger.c.day))).scalar()
        for least_or_most in (sa.func.min, sa.func.max)
    )
    end = 0 if last is None else last + 1
    for begin in range(first or 0, end, _DAYS_A_STATEMENT):
        days = list(range(begin, min(begin + _DAYS_A_STATEMENT, end)))
        found = sa.select(ledger).where(ledger.c.day.in_(days), ledger.c.channel_id == channel_id)
        yield from stored_days(connection.execute(found).all())
