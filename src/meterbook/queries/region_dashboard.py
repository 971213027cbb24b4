"""
The dashboard's figures: one answer that the page and its JSON share, summed from regional days.

Its parts add up: the points of a region to its total, the regions' totals to the total.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa

from meterbook.domain.dashboard_periods import DashboardPeriod
from meterbook.domain.local_days import utc_text
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.fleet_standing import region_standings
from meterbook.queries.regions import RegionDay, as_of, regional_days

DAILY_DAYS_MAX = 100  # up to here a point is a day, beyond it a month


class RegionFigures(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """One region over the period."""

    region: str
    """Empty: meters of no region."""
    meters: int
    unclaimed: int
    silent: int
    total_kwh: float
    share: float | None
    """Of all regions' energy, 0 to 1."""
    change: float | None
    """Of full days against as many of the period before: 0.1 is a tenth more."""
    completeness: float | None
    """Intervals that came of those expected, 0 to 1; null where none were."""


class RegionPoint(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}):
    """One region on one day, or in one month."""

    starts_on: str
    region: str
    energy_kwh: float
    completeness: float | None


class RegionDashboard(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """Consumption by region."""

    period: str
    starts_on: str
    ends_on: str
    """First day out."""
    compared_from: str | None
    """First of the days before that `change` compares with; null: none can be."""
    compared_days: int
    resolution: str
    as_of: str | None
    """When the days not closed yet were last summed."""
    unit: str
    total_kwh: float
    regions: list[RegionFigures]
    """Most energy first."""
    points: list[RegionPoint]


def region_dashboard(
    connection: sa.Connection, *, period: DashboardPeriod, today: date, now: int
) -> RegionDashboard:
    """Return the figures of the period, local days of each meter's zone."""
    days = regional_days(connection, first_day=period.first_day, end_day=period.end_day, now=now)
    compared = period.compared_days(today)
    before = regional_days(
        connection,
        first_day=period.before,
        end_day=period.before + timedelta(days=compared),
        now=now,
    )
    end = period.first_day + timedelta(days=compared)
    now_wh = _energy_by_region([day for day in days if day.day < end])
    before_wh = _energy_by_region(before)
    daily = (period.end_day - period.first_day).days <= DAILY_DAYS_MAX
    summed_at = as_of(connection)
    return RegionDashboard(
        period=period.name,
        starts_on=period.first_day.isoformat(),
        ends_on=period.end_day.isoformat(),
        compared_from=period.before.isoformat() if compared else None,
        compared_days=compared,
        resolution="day" if daily else "month",
        as_of=None if summed_at is None else utc_text(summed_at),
        unit="kWh",
        total_kwh=wh_to_kwh(sum(day.energy_wh for day in days)),
        regions=_figures(connection, days, now_wh=now_wh, before_wh=before_wh),
        points=_points(days, daily=daily),
    )


def _figures(
    connection: sa.Connection,
    days: Sequence[RegionDay],
    *,
    now_wh: dict[str, int],
    before_wh: dict[str, int],
) -> list[RegionFigures]:
    standings = {standing.region: standing for standing in region_standings(connection)}
    energy = _energy_by_region(days)
    total = sum(energy.values())
    by_region: dict[str, list[RegionDay]] = {}
    for day in days:
        by_region.setdefault(day.region, []).append(day)
    figures = []
    for region in sorted({*standings, *by_region}, key=lambda name: (-energy.get(name, 0), name)):
        standing = standings.get(region)
        before = before_wh.get(region, 0)
        figures.append(
            RegionFigures(
                region,
                standing.meters if standing else 0,
                standing.unclaimed if standing else 0,
                standing.silent if standing else 0,
                wh_to_kwh(energy.get(region, 0)),
                round(energy.get(region, 0) / total, 4) if total else None,
                round(now_wh.get(region, 0) / before - 1, 4) if before else None,
                completeness(by_region.get(region, ())),
            )
        )
    return figures


def completeness(days: Sequence[RegionDay]) -> float | None:
    """Return the share of the expected intervals that came; None where none were expected."""
    expected = sum(day.expected for day in days)
    return round(sum(day.known for day in days) / expected, 4) if expected else None


def _points(days: Sequence[RegionDay], *, daily: bool) -> list[RegionPoint]:
    buckets: dict[tuple[date, str], list[RegionDay]] = {}
    for day in days:
        buckets.setdefault((day.day if daily else day.day.replace(day=1), day.region), []).append(
            day
        )
    return [
        RegionPoint(
            starts.isoformat(),
            region,
            wh_to_kwh(sum(day.energy_wh for day in members)),
            completeness(members),
        )
        for (starts, region), members in sorted(buckets.items(), key=lambda item: item[0])
    ]


def _energy_by_region(days: Sequence[RegionDay]) -> dict[str, int]:
    energy: dict[str, int] = {}
    for day in days:
        energy[day.region] = energy.get(day.region, 0) + day.energy_wh
    return energy
