"""
What homes of a region use on average, for people who may not see a home of somebody else.

A day counts if it is closed, nearly complete, and enough homes reported it; everybody of the
region is told the same rounded figure. docs/decisions/0032 says why no home can be worked out.
"""

from datetime import timedelta
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.periods import Period
from meterbook.queries.meter_places import MeterPlace
from meterbook.queries.regions import RegionDay, closed_days_of_region

DAYS_MAX = 400
_COMPLETE = 0.95  # of the intervals: with fewer, an average of homes would be too low
_TENTH_KWH = 100  # Wh


class Withheld(StrEnum):
    """Why there is no figure."""

    NO_REGION = "no_region"
    NO_CLOSED_DAY = "no_closed_day"
    INCOMPLETE = "incomplete"
    GROUP_TOO_SMALL = "group_too_small"


class RegionAverage(msgspec.Struct, frozen=True, rename={"average_day_kwh": "average_day_kWh"}):
    """The average home of a meter's region."""

    meter_id: int
    region: str | None
    period: str
    starts_on: str
    ends_on: str
    """First day out."""
    days: int
    """Whole days that count."""
    average_day_kwh: float | None
    """Of a home, to a tenth; null: `withheld` says why."""
    withheld: Withheld | None
    homes_at_least: int
    """On each of the days."""


def region_average(
    connection: sa.Connection, *, place: MeterPlace, period: Period, group_min: int, now: int
) -> RegionAverage:
    """
    Return the average of the region's homes over the whole days of the period that are over.

    :param group_min: how many homes must have reported a day for it to count.
    """
    zone = time_zone(place.zone)
    first = local_day(period.starts_at, zone)
    end = local_day(period.ends_at - 1, zone) + timedelta(days=1)
    over = min(end, local_day(now, zone))
    average: float | None = None
    withheld: Withheld | None = Withheld.NO_REGION
    used = 0
    if place.region:
        days = closed_days_of_region(
            connection,
            region=place.region,
            first_day=max(first, over - timedelta(days=DAYS_MAX)),
            end_day=over,
        )
        average, withheld, used = _average(days, group_min=max(group_min, 1))
    return RegionAverage(
        place.meter_id,
        place.region,
        period.name,
        first.isoformat(),
        end.isoformat(),
        used,
        average,
        withheld,
        group_min,
    )


def _average(days: list[RegionDay], *, group_min: int) -> tuple[float | None, Withheld | None, int]:
    if not days:
        return None, Withheld.NO_CLOSED_DAY, 0
    complete = [day for day in days if day.expected and day.known >= _COMPLETE * day.expected]
    if not complete:
        return None, Withheld.INCOMPLETE, 0
    enough = [day for day in complete if day.channels >= group_min]
    if not enough:
        return None, Withheld.GROUP_TOO_SMALL, 0
    # Each day is rounded by itself: a period tells nothing that its days do not tell.
    tenths = [_tenths_of_kwh(day) for day in enough]
    return round(sum(tenths) / len(tenths)) / 10, None, len(enough)


def _tenths_of_kwh(day: RegionDay) -> int:
    step = _TENTH_KWH * day.channels
    return (day.energy_wh + step // 2) // step
