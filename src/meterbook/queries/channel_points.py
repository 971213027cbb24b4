"""
A channel's points: its days as they stand, summed by half hour, hour, day or whatever is asked for.

Sums are of known intervals only, and each point says how many are missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.periods import Period, Resolution
from meterbook.domain.readings import ESTIMATED, Counting, Quality
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.queries.points import by_point
from meterbook.storage.tables import channels


class Channel(msgspec.Struct, frozen=True):
    """One measured quantity of a meter point."""

    id: int
    measurement: str
    counting: Counting
    unit: str
    interval_s: int
    zone: str


class ChannelPoint(msgspec.Struct, frozen=True, gc=False):
    """The ended intervals of one point."""

    starts_at: int
    """UTC epoch seconds."""
    count: int
    known: int
    total: int
    """Sum of the known amounts."""
    estimated: int
    """The part of it that was estimated."""
    lowest: int | None
    highest: int | None
    quality: Quality | None
    """Of the known intervals; MIXED if they differ; None if nothing is known."""

    @property
    def missing(self) -> int:
        """How many intervals are missing."""
        return self.count - self.known


def channels_of(
    connection: sa.Connection, *, meter_point_ids: Iterable[int], measurement: str | None = None
) -> dict[tuple[int, str, Counting], Channel]:
    """Return the channels by meter point, measurement and how they count."""
    wanted = sa.select(channels).where(channels.c.meter_point_id.in_(sorted(set(meter_point_ids))))
    if measurement is not None:
        wanted = wanted.where(channels.c.measurement == measurement)
    return {
        (row.meter_point_id, row.measurement, Counting(row.counting)): Channel(
            row.id,
            row.measurement,
            Counting(row.counting),
            row.unit,
            row.interval_s,
            row.zone,
        )
        for row in connection.execute(wanted.order_by(channels.c.id))
    }


def channel_points(
    connection: sa.Connection,
    *,
    channel: Channel,
    period: Period,
    resolution: Resolution,
    now: int,
    lowest: Channel | None = None,
    highest: Channel | None = None,
) -> list[ChannelPoint]:
    """
    Return the channel's points of the period, oldest first.

    :param lowest: where an interval's least sample is kept if it is not its mean.
    :param highest: the same of the greatest.
    """
    zone = time_zone(channel.zone)
    tracks = [
        _days(connection, of, period=period, now=now) if of else None
        for of in (channel, lowest, highest)
    ]
    parts = (
        (key, (day, indices, lows, highs))
        for day, lows, highs in _side_by_side(tracks)
        for key, indices in by_point(day, period=period, now=now, resolution=resolution, zone=zone)
    )
    return [_point([part for _, part in group]) for _, group in groupby(parts, key=itemgetter(0))]


_Amounts = Sequence[int | None]
_Part = tuple[DayReadings, Sequence[int], _Amounts, _Amounts]


def _days(
    connection: sa.Connection, channel: Channel, *, period: Period, now: int
) -> Iterator[DayReadings]:
    zone = time_zone(channel.zone)
    return channel_days(
        connection,
        channel_id=channel.id,
        interval_s=channel.interval_s,
        first_day=local_day(period.starts_at, zone),
        end_day=local_day(min(period.ends_at - 1, now), zone) + timedelta(days=1),
        zone=zone,
    )


def _side_by_side(
    tracks: Sequence[Iterator[DayReadings] | None],
) -> Iterator[tuple[DayReadings, _Amounts, _Amounts]]:
    first, lowest, highest = tracks
    for day in first or ():
        lows, highs = (next(track).amounts if track else () for track in (lowest, highest))
        yield day, lows, highs


def _point(parts: Sequence[_Part]) -> ChannelPoint:
    known: list[int] = []
    lowest: list[int] = []
    highest: list[int] = []
    qualities: set[int] = set()
    count = estimated = 0
    for day, indices, lows, highs in parts:
        count += len(indices)
        for index in indices:
            amount = day.amounts[index]
            if amount is None:
                continue
            quality = int(day.quality) if day.qualities is None else day.qualities[index]
            known.append(amount)
            lowest.append(_beside(lows, day, index, amount))
            highest.append(_beside(highs, day, index, amount))
            qualities.add(quality)
            estimated += amount if quality in ESTIMATED else 0
    first, indices = parts[0][:2]
    return ChannelPoint(
        first.starts_at + indices[0] * first.interval_s,
        count,
        len(known),
        sum(known),
        estimated,
        min(lowest, default=None),
        max(highest, default=None),
        _quality(qualities),
    )


def _beside(amounts: _Amounts, day: DayReadings, index: int, mean: int) -> int:
    amount = amounts[index] if len(amounts) == len(day.amounts) else None
    return mean if amount is None else amount


def _quality(qualities: set[int]) -> Quality | None:
    if not qualities:
        return None
    return Quality(next(iter(qualities))) if len(qualities) == 1 else Quality.MIXED
