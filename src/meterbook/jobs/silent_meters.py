"""
Silent meters: found by looking into the books, so that a packet costs nothing more to store.

A meter is silent when it has no reading of the last intervals, in either book. Each run asks
newest half hour first, so a meter that speaks costs one look-up; only the others cost more. It
goes over the meters in parts, each written by itself: when a town falls silent packets of the
others must not wait until all of it is written down.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook
from meterbook.domain.local_days import day_bounds, day_number, local_day, numbered_day, time_zone
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.jobs.pace import Pace
from meterbook.ledger import decode_intervals
from meterbook.rollups.changes import is_counted
from meterbook.rollups.sums import NO_REGION
from meterbook.storage import tables
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.database import Database
from meterbook.storage.dialects import batch, insert_rows, is_distributed
from meterbook.storage.rollup_tables import silent_channels
from meterbook.storage.tables import channels, ledger, meter_points

ON_THE_WAY_S = 5 * 60  # a packet comes a minute after its half hour, give it four more
LAST_SEEN_DAYS = 40  # how far back the last reading is looked for
LAST_SEEN_MAX = 5_000  # of the newly silent, in one run
_AT_ONCE = 5_000
_PART = 10_000  # channels; their transaction takes some 20 ms if all of them fell silent


def find_silent_meters(database: Database, *, silent_intervals: int, now: int, pace: Pace) -> int:
    """
    Find the channels without a reading in the last intervals, and return how many are known.

    :param silent_intervals: how many half-hours without a reading make a meter silent.
    """
    horizon = now - ON_THE_WAY_S - silent_intervals * HALF_HOUR_S
    with database.reading() as connection:
        slots = daybook.open_interval_starts(
            connection, starts_at=horizon - HALF_HOUR_S + 1, ends_at=now + HALF_HOUR_S
        )
        spoke = _in_daybook_again(connection, slots) | _in_ledger_again(connection, since=horizon)
        newest_id = connection.execute(sa.select(sa.func.max(channels.c.id))).scalar() or 0
    with database.writing() as connection:
        _forget(connection, spoke)
    look_back = LAST_SEEN_MAX
    for first in range(1, newest_id + 1, _PART):
        if not pace.may_go_on():
            break
        part = ChannelRange(first, first + _PART - 1)
        with database.reading() as connection:
            candidates = _not_in_daybook(connection, slots, part)
            if not candidates:
                continue
            heard = _heard_in_ledger(connection, candidates, since=horizon)
            new = {each: where for each, where in candidates.items() if each not in heard}
            looked_at = dict(islice(new.items(), look_back))
            last = _last_seen(connection, looked_at, now=now)
        look_back -= len(looked_at)
        rows = [
            (each, where.region, last.get(each), now)
            for each, where in new.items()
            # Who came a moment ago and never said anything has not fallen silent.
            if where.created_at < horizon or each in last
        ]
        if rows:
            with database.writing() as connection:
                insert_rows(connection, silent_channels, rows)
    with database.reading() as connection:
        return connection.execute(
            sa.select(sa.func.count()).select_from(silent_channels)
        ).scalar_one()


def _in_daybook_again(connection: sa.Connection, slots: Sequence[int]) -> set[int]:
    """Return the channels known as silent that have a row of one of the slots."""
    if not slots:
        return set()
    if is_distributed(connection):
        known = np.array(connection.scalars(sa.select(silent_channels.c.channel_id)).all())
        if not len(known):
            return set()
        within = ChannelRange(int(known.min()), int(known.max()))
        spoke = [
            daybook.read_interval(connection, starts_at=slot, channels=within)[0] for slot in slots
        ]
        return {number for each in spoke for number in np.intersect1d(each, known).tolist()}
    row = tables.daybook
    there = [
        sa.exists().where(row.c.starts_at == slot, row.c.channel_id == silent_channels.c.channel_id)
        for slot in slots
    ]
    return set(connection.scalars(sa.select(silent_channels.c.channel_id).where(sa.or_(*there))))


def _in_ledger_again(connection: sa.Connection, *, since: int) -> set[int]:
    """Return the channels known as silent that have a closed reading since then."""
    zones = connection.scalars(sa.select(channels.c.zone).distinct()).all()
    days = {
        (zone, day_number(local_day(since, time_zone(zone))) + later)
        for zone in zones
        for later in (0, 1)
    }
    spoke: set[int] = set()
    for zone, number in days:
        found = connection.execute(
            sa.select(ledger.c.channel_id, ledger.c.intervals)
            .join(silent_channels, silent_channels.c.channel_id == ledger.c.channel_id)
            .join(channels, channels.c.id == ledger.c.channel_id)
            .where(ledger.c.day == number, channels.c.zone == zone)
        )
        for channel_id, last in _last_known(found, day=numbered_day(number), zone=zone):
            if last + HALF_HOUR_S > since:
                spoke.add(channel_id)
    return spoke


class _Place(msgspec.Struct, frozen=True):
    """Where a channel is, and since when."""

    zone: str
    region: str
    created_at: int


def _not_in_daybook(
    connection: sa.Connection, slots: Sequence[int], part: ChannelRange
) -> dict[int, _Place]:
    """Return the channels without a row of the slots, but not those known as silent."""
    # One look-up by full key for each half hour, the newest first: the first nearly always hits.
    newest_first = sorted(slots, reverse=True)
    wanted = (
        sa.select(
            channels.c.id,
            channels.c.zone,
            sa.func.coalesce(meter_points.c.region, NO_REGION),
            meter_points.c.created_at,
        )
        .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
        .where(is_counted(), channels.c.id.between(part.first, part.last))
        # Known ones stay where they are: a whole town without a line must not cost this again.
        .where(~sa.exists().where(silent_channels.c.channel_id == channels.c.id))
    )
    if is_distributed(connection):
        return _not_in_shards(connection, wanted, newest_first)
    for slot in newest_first:
        row = tables.daybook.alias()
        there = sa.select(row.c.amount).where(
            row.c.starts_at == slot, row.c.channel_id == channels.c.id
        )
        wanted = wanted.where(~sa.exists(there))
    return _places(connection, wanted)


def _not_in_shards(
    connection: sa.Connection, wanted: sa.Select[*tuple[Any, ...]], slots: Sequence[int]
) -> dict[int, _Place]:
    # Citus cannot look up rows of shards for each channel; it can say which channels have one.
    places = _places(connection, wanted)
    for slot in slots:
        if not places:
            break
        members = np.array(sorted(places), dtype=np.int64)
        only = None if len(places) > _AT_ONCE else members
        within = ChannelRange(int(members[0]), int(members[-1]), only)
        spoke, *_ = daybook.read_interval(connection, starts_at=slot, channels=within)
        for channel_id in spoke.tolist():
            places.pop(channel_id, None)
    return places


def _places(connection: sa.Connection, wanted: sa.Select[*tuple[Any, ...]]) -> dict[int, _Place]:
    return {row[0]: _Place(row[1], row[2], row[3]) for row in connection.execute(wanted)}


def _heard_in_ledger(
    connection: sa.Connection, candidates: dict[int, _Place], *, since: int
) -> set[int]:
    """Return which have a closed reading since then: a close takes the newest ones along."""
    heard: set[int] = set()
    for zone in {place.zone for place in candidates.values()}:
        members = [each for each, place in candidates.items() if place.zone == zone]
        first = local_day(since, time_zone(zone))
        for day in (first, first + timedelta(days=1)):
            for channel_id, last in _last_of_day(connection, members, day=day, zone=zone):
                if last + HALF_HOUR_S > since:
                    heard.add(channel_id)
    return heard


def _last_of_day(
    connection: sa.Connection, channel_ids: Sequence[int], *, day: date, zone: str
) -> Iterable[tuple[int, int]]:
    for begin in range(0, len(channel_ids), _AT_ONCE):
        rows = [(each,) for each in channel_ids[begin : begin + _AT_ONCE]]
        source, parameters = batch(connection, columns={"channel_id": "bigint"}, rows=rows)
        statement = f"""
            SELECT ledger.channel_id, ledger.intervals FROM {source} CROSS JOIN ledger
            WHERE ledger.day = :day AND ledger.channel_id = batch.channel_id
        """  # noqa: S608 built from our own names only
        asked = parameters | {"day": day_number(day)}
        yield from _last_known(connection.execute(sa.text(statement), asked), day=day, zone=zone)


def _last_known(
    rows: Iterable[sa.Row[*tuple[Any, ...]]], *, day: date, zone: str
) -> Iterator[tuple[int, int]]:
    """Yield the last known start of each channel's row of one day."""
    begins_at, ends_at = day_bounds(day, time_zone(zone))
    for channel_id, packed in rows:
        intervals = decode_intervals(packed)
        last = max((i for i, amount in enumerate(intervals) if amount is not None), default=None)
        if last is not None:
            yield channel_id, begins_at + last * ((ends_at - begins_at) // len(intervals))


def _last_seen(connection: sa.Connection, silent: dict[int, _Place], *, now: int) -> dict[int, int]:
    last = _last_in_daybook(connection, list(silent), now=now)
    newest = connection.execute(sa.select(sa.func.max(ledger.c.day))).scalar()
    remaining = set(silent) - set(last)
    for number in range(newest or 0, (newest or 0) - LAST_SEEN_DAYS, -1):
        if newest is None or not remaining:
            break
        for zone in {silent[each].zone for each in remaining}:
            members = sorted(each for each in remaining if silent[each].zone == zone)
            last |= _last_of_day(connection, members, day=numbered_day(number), zone=zone)
        remaining -= set(last)
    return last


def _last_in_daybook(
    connection: sa.Connection, channel_ids: Sequence[int], *, now: int
) -> dict[int, int]:
    last: dict[int, int] = {}
    remaining = set(channel_ids)
    slots = daybook.open_interval_starts(connection, starts_at=0, ends_at=now + HALF_HOUR_S)
    for slot in sorted(slots, reverse=True):
        if not remaining:
            break
        rows = [(each,) for each in sorted(remaining)]
        source, parameters = batch(connection, columns={"channel_id": "bigint"}, rows=rows)
        statement = f"""
            SELECT daybook.channel_id FROM {source} CROSS JOIN daybook
            WHERE daybook.starts_at = :slot AND daybook.channel_id = batch.channel_id
        """  # noqa: S608 built from our own names only
        found = set(connection.scalars(sa.text(statement), parameters | {"slot": slot}))
        last |= dict.fromkeys(found, slot)
        remaining -= found
    return last


def _forget(connection: sa.Connection, channel_ids: Iterable[int]) -> None:
    rows = [(each,) for each in sorted(channel_ids)]
    source, parameters = batch(connection, columns={"channel_id": "bigint"}, rows=rows)
    statement = f"""
        DELETE FROM silent_channels WHERE channel_id IN (SELECT channel_id FROM {source})
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters)
