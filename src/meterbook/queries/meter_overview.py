"""
One meter at a glance: what it measured last, and today, this week and this month.

Summed from the same days as its consumption, read once.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, local_time, midnight, time_zone
from meterbook.domain.period_steps import period_before
from meterbook.domain.periods import Period, Resolution, named_period
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.queries.consumption import Consumption, consumption_of
from meterbook.queries.meter_places import MeterPlace
from meterbook.queries.period_figures import (
    Before,
    PeriodFigures,
    counted_days,
    last_known_end,
    period_figures,
)

PERIODS = ("current-day", "current-week", "current-month")
DAYS_LOOKED_AT = 63  # this month and as much of the last one
QUALITY_DAYS = 30


class PeriodTotal(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """The energy of one period."""

    period: str
    total_kwh: float
    missing_intervals: int
    before: Before | None
    """The period before, as far into it as this one has come."""


class Latest(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh", "average_kw": "average_kW"}):
    """The last interval that is known."""

    starts_at: str
    ends_at: str
    energy_kwh: float
    average_kw: float
    age_s: int
    """How long ago it ended."""


class QualityOfDays(
    msgspec.Struct, frozen=True, rename={"estimated_kwh": "estimated_kWh", "total_kwh": "total_kWh"}
):
    """How complete the last thirty days are."""

    first_day: date
    known_intervals: int
    missing_intervals: int
    estimated_kwh: float
    total_kwh: float


class MeterOverview(msgspec.Struct, frozen=True):
    """What a meter's page shows."""

    meter_id: int
    name: str | None
    timezone: str
    region: str | None
    totals: list[PeriodTotal]
    latest: Latest | None
    """None: nothing is known of the last two months."""
    quality: QualityOfDays


class Overview(msgspec.Struct, frozen=True):
    """The overview, and the day it is drawn with."""

    meter: MeterOverview
    today: Consumption
    yesterday: Consumption
    daily: list[float | None]
    """Each of the last days' energy, kWh; None where nothing is known."""


def meter_overview(connection: sa.Connection, *, place: MeterPlace, now: int) -> Overview:
    """Return the meter at a glance."""
    zone = time_zone(place.zone)
    today = local_day(now, zone)
    days = list(
        channel_days(
            connection,
            channel_id=place.channel_id,
            interval_s=place.interval_s,
            first_day=today - timedelta(days=DAYS_LOOKED_AT),
            end_day=today + timedelta(days=1),
            zone=zone,
        )
    )
    totals = [_total(days, name, place=place, zone=zone, now=now) for name in PERIODS]
    month = _last_days(today, days=QUALITY_DAYS, zone=zone)
    daily = consumption_of(days, place=place, period=month, resolution=Resolution.DAY, now=now)
    ended = sum(len(day.amounts) for day in counted_days(days, period=month, now=now))
    meter = MeterOverview(
        meter_id=place.meter_id,
        name=place.name,
        timezone=place.zone,
        region=place.region,
        totals=totals,
        latest=_latest(days, zone=zone, now=now),
        quality=QualityOfDays(
            first_day=today - timedelta(days=QUALITY_DAYS - 1),
            known_intervals=ended - daily.missing_intervals,
            missing_intervals=daily.missing_intervals,
            estimated_kwh=daily.estimated_kwh,
            total_kwh=daily.total_kwh,
        ),
    )
    today_by_half_hour, yesterday = (
        consumption_of(
            days,
            place=place,
            period=named_period(name, now=now, zone=zone),
            resolution=Resolution.HALF_HOUR,
            now=now,
        )
        for name in ("current-day", "prev-day")
    )
    by_day = [point.energy_kwh for point in daily.points]
    return Overview(meter, today_by_half_hour, yesterday, by_day)


def _total(
    days: Sequence[DayReadings], name: str, *, place: MeterPlace, zone: ZoneInfo, now: int
) -> PeriodTotal:
    period = named_period(name, now=now, zone=zone)
    answer = consumption_of(days, place=place, period=period, resolution=period.resolution, now=now)
    figures: PeriodFigures = period_figures(
        counted_days(days, period=period, now=now),
        days,
        meter_id=place.meter_id,
        period=period,
        earlier=period_before(period, zone=zone),
        zone=zone,
    )
    return PeriodTotal(name, answer.total_kwh, answer.missing_intervals, figures.before)


def _last_days(today: date, *, days: int, zone: ZoneInfo) -> Period:
    first, end = today - timedelta(days=days - 1), today + timedelta(days=1)
    return Period("range", midnight(first, zone), midnight(end, zone), Resolution.DAY)


def _latest(days: Sequence[DayReadings], *, zone: ZoneInfo, now: int) -> Latest | None:
    whole = Period("range", days[0].starts_at, now + 86_400, Resolution.DAY)
    counted = counted_days(days, period=whole, now=now)
    ends_at = last_known_end(counted)
    if ends_at is None:
        return None
    day = next(day for day in reversed(counted) if any(a is not None for a in day.amounts))
    energy_wh = next(amount for amount in reversed(day.amounts) if amount is not None)
    return Latest(
        starts_at=local_time(ends_at - day.interval_s, zone).isoformat(),
        ends_at=local_time(ends_at, zone).isoformat(),
        energy_kwh=wh_to_kwh(energy_wh),
        average_kw=wh_to_kwh(round(energy_wh * 3600 / day.interval_s)),
        age_s=max(now - ends_at, 0),
    )
