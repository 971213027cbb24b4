"""`/management-dashboard/`: what regions use, and what needs an operator's eye."""

from datetime import date
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.domain.dashboard_periods import (
    DASHBOARD_PERIODS,
    DashboardPeriod,
    dashboard_period,
    dashboard_range,
)
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.periods import EmptyRangeError
from meterbook.domain.region_shapes import RegionMap
from meterbook.queries.conflicts import Conflict, conflicts
from meterbook.queries.fleet_standing import (
    LastClose,
    SilentMeter,
    last_closes,
    silent_meters,
)
from meterbook.queries.region_dashboard import RegionDashboard, region_dashboard
from meterbook.registry.accounts import Role
from meterbook.registry.meter_points import MeterPoint, meter_points_with_meters
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.region_drawings import (
    DrawnMap,
    DrawnSeries,
    completeness_of,
    drawn_map,
    region_words,
    series_of,
)

PATH = "/management-dashboard"
SHOWN_MAX = 8  # of silent and unclaimed meters and conflicts; each list has a page of its own
CLOSES_SHOWN = 7
STAFF = (Role.OPERATOR, Role.ADMIN)


class Attention(msgspec.Struct, frozen=True):
    """What needs an operator's eye: the first of each."""

    silent: list[SilentMeter]
    unclaimed: list[MeterPoint]
    conflicts: list[Conflict]
    closes: list[LastClose]


class DashboardAnswer(msgspec.Struct, frozen=True):
    """The dashboard as JSON."""

    consumption: RegionDashboard
    attention: Attention


class DashboardPage(msgspec.Struct, frozen=True):
    """What the dashboard shows."""

    periods: tuple[str, ...]
    answer: RegionDashboard
    attention: Attention
    first_day: date
    last_day: date
    compared_from: date | None
    compared_to: date | None
    names: dict[str, str]
    """Region to its words: meters of no region have some too."""
    stacked: DrawnSeries
    completeness: DrawnSeries
    map: DrawnMap | None
    totals: dict[str, int]
    """Meters, silent and unclaimed ones, of all regions."""


@get(PATH, sync_to_thread=True, include_in_schema=False)
def dashboard_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    period: FromQuery[str] = "",
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
) -> Response[DashboardAnswer] | Template | Redirect:
    """Show what each region used, how complete it is, and what needs an operator's eye."""
    page_wanted = wants_page(request)
    if not request.scope["raw_path"].endswith(b"/"):
        query = f"?{request.url.query}" if request.url.query else ""
        return Redirect(f"{PATH}/{query}", status_code=308)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    caller.with_role(*STAFF)
    today = local_day(now, time_zone(book_of(request).default_zone))
    wanted = wanted_period(period, first_day, end_day, today=today)
    with book_of(request).database.reading() as connection:
        answer = region_dashboard(connection, period=wanted, today=today, now=now)
        attention = _attention(connection)
    if not page_wanted:
        return Response(DashboardAnswer(answer, attention))
    page = _page(wanted, answer, attention, today=today, shapes=book_of(request).region_map)
    return rendered(request, caller, "dashboard.html", page=page)


def wanted_period(
    name: str, first_day: date | None, end_day: date | None, *, today: date
) -> DashboardPeriod:
    """
    Return the period a request asks for, by name or by its days.

    :raises UnknownPeriodError: if there is none of that name.
    :raises EmptyRangeError: if the days make no period.
    """
    if first_day is None and end_day is None:
        return dashboard_period(name or DASHBOARD_PERIODS[0], today=today)
    if first_day is None or end_day is None or name:
        raise EmptyRangeError("give from and to together, without period")
    return dashboard_range(first_day, end_day)


def _attention(connection: sa.Connection) -> Attention:
    return Attention(
        silent_meters(connection, limit=SHOWN_MAX),
        meter_points_with_meters(connection, unclaimed=True, limit=SHOWN_MAX),
        conflicts(connection, limit=SHOWN_MAX),
        last_closes(connection, limit=CLOSES_SHOWN),
    )


def _page(
    wanted: DashboardPeriod,
    answer: RegionDashboard,
    attention: Attention,
    *,
    today: date,
    shapes: RegionMap | None,
) -> DashboardPage:
    compared = wanted.compared_days(today)
    totals = {
        name: sum(getattr(figures, name) for figures in answer.regions)
        for name in ("meters", "silent", "unclaimed")
    }
    one_day = date.resolution
    return DashboardPage(
        periods=DASHBOARD_PERIODS,
        answer=answer,
        attention=attention,
        first_day=wanted.first_day,
        last_day=wanted.end_day - one_day,
        compared_from=wanted.before if compared else None,
        compared_to=wanted.before + (compared - 1) * one_day if compared else None,
        names={figures.region: region_words(figures.region) for figures in answer.regions},
        stacked=series_of(answer),
        completeness=completeness_of(answer),
        map=drawn_map(answer, shapes),
        totals=totals,
    )
