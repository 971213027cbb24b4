"""Loads what files say of meters: finds the channels, makes meters nobody has registered."""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load.loader import (
    LoadReport,
    keep_superseded,
    load_channels,
    load_days,
    take_waiting,
)
from meterbook.domain.closed_days import closed_day
from meterbook.domain.local_days import time_zone
from meterbook.domain.reading_columns import IntColumn, ReadingColumns, distinct, looked_up
from meterbook.domain.readings import Quality, Reading
from meterbook.registry import meters
from meterbook.storage.dialects import batch


class Group(msgspec.Struct, frozen=True):
    """Readings of channels of one zone and interval length."""

    zone: ZoneInfo
    interval_s: int
    readings: ReadingColumns


class MeterTotals(msgspec.Struct, frozen=True):
    """Ended days of one meter."""

    meter_id: int
    days: dict[int, list[int | None]]
    """Day number to the day's intervals; a single one where only the total is known."""
    superseded: list[tuple[int, int]]
    """(starts_at, amount) of half-hours that a total took the place of."""


def load_by_meter(
    connection: sa.Connection,
    columns: ReadingColumns,
    *,
    default_zone: str,
    now: int,
    book_stands: bool = False,
) -> LoadReport:
    """
    Load readings whose source is a meter ID, in the caller's serial transaction.

    A reading goes to the channel its meter had at that time, of whatever zone. A meter nobody
    registered becomes an unclaimed one in the default zone.
    """
    if not len(columns):
        return LoadReport()
    numbers = distinct(columns.source)
    known = known_or_new(connection, numbers, default_zone=default_zone, now=now)
    positions = looked_up(columns.source, numbers, np.arange(len(numbers)))
    columns = msgspec.structs.replace(columns, source=positions)
    channel_ids = channels_of(columns, numbers.tolist(), known)
    columns = msgspec.structs.replace(columns, source=channel_ids)
    report = LoadReport()
    for group in groups(connection, columns):
        report = report.plus(
            load_channels(
                connection, group.readings, zone=group.zone, now=now, book_stands=book_stands
            )
        )
    return report


def load_totals_by_meter(
    connection: sa.Connection, totals: Sequence[MeterTotals], *, default_zone: str, now: int
) -> LoadReport:
    """
    Load days known only as totals, and half-hours that add up to one, where the book has none.

    Where it has that day, its readings stay.
    """
    by_meter = {meter.meter_id: meter for meter in totals}
    numbers = np.array(sorted(by_meter), dtype=np.int64)
    known = known_or_new(connection, numbers, default_zone=default_zone, now=now)
    meter_of = {known[number][-1].channel_id: by_meter[number] for number in numbers.tolist()}
    report = LoadReport()
    for (zone, interval_s), members in _kinds(connection, list(meter_of)).items():
        part = _load_totals(
            connection,
            {channel_id: meter_of[channel_id] for channel_id in members},
            zone=time_zone(zone),
            interval_s=interval_s,
            now=now,
        )
        report = report.plus(part)
    return report


def _load_totals(
    connection: sa.Connection,
    meter_of: Mapping[int, MeterTotals],
    *,
    zone: ZoneInfo,
    interval_s: int,
    now: int,
) -> LoadReport:
    days = [
        closed_day(channel_id, day, intervals=intervals, qualities=[Quality.RAW] * len(intervals))
        for channel_id, meter in meter_of.items()
        for day, intervals in meter.days.items()
    ]
    take_waiting(
        connection,
        channel_id=np.array([day.channel_id for day in days], dtype=np.int64),
        day=np.array([day.day for day in days], dtype=np.int64),
        interval_s=interval_s,
        zone=zone,
        now=now,
    )
    lost = [
        Reading(channel_id, starts_at, amount)
        for channel_id, meter in meter_of.items()
        for starts_at, amount in meter.superseded
    ]
    report = load_days(connection, days, zone=zone, now=now, book_stands=True)
    keep_superseded(connection, lost, now=now)
    return msgspec.structs.replace(report, readings=len(days))


def known_or_new(
    connection: sa.Connection, numbers: IntColumn, *, default_zone: str, now: int
) -> dict[int, list[meters.Installation]]:
    """Return the installations of the meters, made first where nobody registered them."""
    known = meters.installations_of(connection, numbers.tolist())
    strangers = [number for number in numbers.tolist() if number not in known]
    if strangers:
        meters.add_meters(connection, strangers, zone=default_zone, now=now)
        known |= meters.installations_of(connection, strangers)
    return known


def channels_of(
    columns: ReadingColumns, numbers: Sequence[int], known: dict[int, list[meters.Installation]]
) -> IntColumn:
    """
    Return the channel of each reading, shape (n,).

    :param columns: their source is a position among the numbers.
    :param numbers: meter IDs; those of which there is a reading are known.
    """
    places = [known.get(number, ()) for number in numbers]
    first = [place[0].channel_id if place else 0 for place in places]
    channel_ids: IntColumn = np.array(first, dtype=np.int64)[columns.source]
    for position, place in enumerate(places):
        for later in place[1:]:
            mask = (columns.source == position) & (columns.starts_at >= later.installed_at)
            channel_ids[mask] = later.channel_id
    return channel_ids


def groups(connection: sa.Connection, columns: ReadingColumns) -> Iterator[Group]:
    """Yield the readings of channels by zone and interval length."""
    kinds = _kinds(connection, distinct(columns.source).tolist())
    for (zone, interval_s), members in kinds.items():
        alone = len(kinds) == 1
        readings = columns if alone else columns.only(np.isin(columns.source, members))
        yield Group(time_zone(zone), interval_s, readings)


def _kinds(
    connection: sa.Connection, channel_ids: Sequence[int]
) -> dict[tuple[str, int], list[int]]:
    source, parameters = batch(
        connection, columns={"channel_id": "bigint"}, rows=[(n,) for n in channel_ids]
    )
    statement = f"""
        SELECT channels.id, channels.zone, channels.interval_s
        FROM {source} CROSS JOIN channels WHERE channels.id = batch.channel_id
        ORDER BY channels.id
    """  # noqa: S608 built from our own names only
    kinds: dict[tuple[str, int], list[int]] = {}
    for row in connection.execute(sa.text(statement), parameters):
        kinds.setdefault((row.zone, row.interval_s), []).append(row.id)
    return kinds
