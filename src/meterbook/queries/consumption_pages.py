"""Consumption page by page, newest or oldest first: what Octopus-style clients ask for."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, local_time, time_zone
from meterbook.queries.channel_days import channel_days
from meterbook.queries.meter_places import MeterPlace


class Grouping(StrEnum):
    """Into what half-hours are put together."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


class ConsumptionItem(msgspec.Struct, frozen=True):
    """The energy between two instants."""

    consumption: float
    """kWh."""
    interval_start: str
    interval_end: str


class _Piece(msgspec.Struct, frozen=True, gc=False):
    starts_at: int
    ends_at: int
    energy_wh: int


def consumption_items(
    connection: sa.Connection,
    *,
    place: MeterPlace,
    begins_at: int,
    ends_at: int,
    grouping: Grouping | None,
) -> list[ConsumptionItem]:
    """
    Return what is known between the two instants, oldest first; what is missing has no item.

    A group begins with the period it is of, or with begins_at where that is later.
    """
    zone = time_zone(place.zone)
    pieces = _pieces(connection, place=place, begins_at=begins_at, ends_at=ends_at, zone=zone)
    if grouping is None:
        return [_item([piece], zone) for piece in pieces]

    def key(piece: _Piece) -> object:
        return _period(local_time(piece.starts_at, zone), grouping)

    return [_item(list(some), zone) for _, some in groupby(pieces, key)]


def _pieces(
    connection: sa.Connection, *, place: MeterPlace, begins_at: int, ends_at: int, zone: ZoneInfo
) -> Iterator[_Piece]:
    for day in channel_days(
        connection,
        channel_id=place.channel_id,
        interval_s=place.interval_s,
        first_day=local_day(begins_at, zone),
        end_day=local_day(ends_at - 1, zone) + timedelta(days=1),
        zone=zone,
    ):
        for index, amount in enumerate(day.amounts):
            start = day.starts_at + index * day.interval_s
            if amount is not None and begins_at <= start < ends_at:
                yield _Piece(start, start + day.interval_s, amount)


def _item(pieces: list[_Piece], zone: ZoneInfo) -> ConsumptionItem:
    return ConsumptionItem(
        sum(piece.energy_wh for piece in pieces) / 1000,
        local_time(pieces[0].starts_at, zone).isoformat(),
        local_time(pieces[-1].ends_at, zone).isoformat(),
    )


def _period(local: datetime, grouping: Grouping) -> object:
    day: date = local.date()
    match grouping:
        case Grouping.HOUR:
            return (day, local.hour, local.utcoffset())
        case Grouping.DAY:
            return day
        case Grouping.WEEK:
            return day.isocalendar()[:2]
        case Grouping.MONTH:
            return (day.year, day.month)
        case Grouping.QUARTER:
            return (day.year, (day.month - 1) // 3)
