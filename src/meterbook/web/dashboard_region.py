"""Below the dashboard: one region with its meters, and the lists of what needs an eye."""

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.charts.regions import profile_chart
from meterbook.charts.theme import Figure, kwh
from meterbook.domain.dashboard_periods import DASHBOARD_PERIODS
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.conflicts import Conflict, conflicts
from meterbook.queries.fleet_standing import (
    RegionMeter,
    SilentMeter,
    meters_of_region,
    silent_meters,
)
from meterbook.queries.region_dashboard import completeness
from meterbook.queries.region_profiles import ProfilePoint, regional_profile
from meterbook.queries.regions import RegionDay, regional_days
from meterbook.registry.meter_points import MeterPoint, meter_points_with_meters
from meterbook.web import formats
from meterbook.web.dashboard import PATH, STAFF, wanted_period
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.region_drawings import region_words, separators

ROWS_A_PAGE = 50
PageNumber = Annotated[int, QueryParameter(name="page", ge=1, le=100_000)]


class RegionDayAnswer(msgspec.Struct, frozen=True, rename={"total_kwh": "kWh"}):
    """One day of the region."""

    day: str
    total_kwh: float
    completeness: float | None
    meters: int
    """That reported."""


class HalfHourAnswer(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}):
    """One half hour of the region's day."""

    begins: str
    energy_kwh: float | None
    meters: int
    """That reported."""


class RegionAnswer(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """One region as JSON."""

    region: str
    period: str
    starts_on: str
    ends_on: str
    total_kwh: float
    days: list[RegionDayAnswer]
    profile_day: str
    profile: list[HalfHourAnswer]
    meters: list[RegionMeter]


class ListPage(msgspec.Struct, frozen=True):
    """A page of a long list."""

    rows: list[Any]
    number: int
    has_more: bool


class RegionPage(msgspec.Struct, frozen=True):
    """What a region's page shows."""

    answer: RegionAnswer
    words: str
    periods: tuple[str, ...]
    first_day: date
    last_day: date
    profile_day: date
    profile_figure: Figure
    daily_figure: Figure
    day_words: list[str]
    """Of each day of the answer."""
    completeness: float | None
    members: ListPage


@get(f"{PATH}/region", sync_to_thread=True, summary="One region with its meters")
def region_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    region: FromQuery[str] = "",
    period: FromQuery[str] = "",
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
    page: PageNumber = 1,
) -> Response[RegionAnswer] | Template | Redirect:
    """Show what one region used by day and half hour, and its meters."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    caller.with_role(*STAFF)
    today = local_day(now, time_zone(book_of(request).default_zone))
    wanted = wanted_period(period, first_day, end_day, today=today)
    # The shape of the last full day of the period: today's is still growing.
    profile_day = max(wanted.first_day, min(wanted.end_day, today) - timedelta(days=1))
    with book_of(request).database.reading() as connection:
        days = regional_days(
            connection, first_day=wanted.first_day, end_day=wanted.end_day, now=now
        )
        days = [day for day in days if day.region == region]
        profile = regional_profile(connection, day=profile_day, region=region)
        members = _paged(
            meters_of_region(connection, region=region, limit=ROWS_A_PAGE + 1, offset=_skip(page)),
            page,
        )
    answer = RegionAnswer(
        region,
        wanted.name,
        wanted.first_day.isoformat(),
        wanted.end_day.isoformat(),
        wh_to_kwh(sum(day.energy_wh for day in days)),
        [_day(day) for day in days],
        profile_day.isoformat(),
        [_half_hour(point) for point in profile],
        members.rows,
    )
    if not page_wanted:
        return Response(answer)
    shown = _region_page(answer, days, wanted.end_day - timedelta(days=1), members)
    return rendered(request, caller, "dashboard_region.html", page=shown)


def _region_page(
    answer: RegionAnswer, days: list[RegionDay], last_day: date, members: ListPage
) -> RegionPage:
    signs = separators()
    words = [formats.day(day.day, "MMMEd") for day in days]
    return RegionPage(
        answer=answer,
        words=region_words(answer.region),
        periods=DASHBOARD_PERIODS,
        first_day=date.fromisoformat(answer.starts_on),
        last_day=last_day,
        profile_day=date.fromisoformat(answer.profile_day),
        profile_figure=profile_chart(
            [point.begins for point in answer.profile],
            [point.energy_kwh for point in answer.profile],
            unit="kWh",
            separators=signs,
        ),
        daily_figure=profile_chart(
            words, [kwh(day.energy_wh) for day in days], unit="kWh", separators=signs
        ),
        day_words=words,
        completeness=completeness(days),
        members=members,
    )


@get(f"{PATH}/silent", sync_to_thread=True, include_in_schema=False)
def silent_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], page: PageNumber = 1
) -> Response[list[SilentMeter]] | Template | Redirect:
    """List meters without a reading in the last half-hours."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(*STAFF)
    with book_of(request).database.reading() as connection:
        rows = silent_meters(connection, limit=ROWS_A_PAGE + 1, offset=_skip(page))
    if not wants_page(request):
        return Response(rows[:ROWS_A_PAGE])
    return rendered(request, caller, "dashboard_silent.html", page=_paged(rows, page))


@get(f"{PATH}/unclaimed", sync_to_thread=True, include_in_schema=False)
def unclaimed_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], page: PageNumber = 1
) -> Response[list[MeterPoint]] | Template | Redirect:
    """List meters that send packets and belong to nobody."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(*STAFF)
    with book_of(request).database.reading() as connection:
        rows = meter_points_with_meters(
            connection, unclaimed=True, limit=ROWS_A_PAGE + 1, offset=_skip(page)
        )
    if not wants_page(request):
        return Response(rows[:ROWS_A_PAGE])
    return rendered(request, caller, "dashboard_unclaimed.html", page=_paged(rows, page))


@get(f"{PATH}/conflicts", sync_to_thread=True, include_in_schema=False)
def conflicts_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], page: PageNumber = 1
) -> Response[list[Conflict]] | Template | Redirect:
    """List readings that a different one took the place of, newest first."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(*STAFF)
    with book_of(request).database.reading() as connection:
        rows = conflicts(connection, limit=ROWS_A_PAGE + 1, offset=_skip(page))
    if not wants_page(request):
        return Response(rows[:ROWS_A_PAGE])
    return rendered(request, caller, "dashboard_conflicts.html", page=_paged(rows, page))


def _skip(page: int) -> int:
    return (page - 1) * ROWS_A_PAGE


def _paged(rows: list[Any], page: int) -> ListPage:
    return ListPage(rows[:ROWS_A_PAGE], page, len(rows) > ROWS_A_PAGE)


def _day(day: RegionDay) -> RegionDayAnswer:
    return RegionDayAnswer(
        day.day.isoformat(), wh_to_kwh(day.energy_wh), completeness([day]), day.channels
    )


def _half_hour(point: ProfilePoint) -> HalfHourAnswer:
    return HalfHourAnswer(point.begins, kwh(point.energy_wh), point.reporting)
