"""`/`, `/profile` and `/profile/{meterId}`: the way to one's meters."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of, visible_meter
from meterbook.domain.local_days import time_zone
from meterbook.domain.meter_ids import MeterIdError, dashed, meter_id
from meterbook.domain.periods import named_period
from meterbook.queries.consumption import consumption
from meterbook.queries.meter_places import meters_of_account
from meterbook.web.pages import rendered, sign_in_first, wants_page

OVERVIEW_PERIODS = ("current-day", "current-week", "current-month")


class PeriodTotal(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """The energy of one period."""

    period: str
    total_kwh: float
    missing_intervals: int


class MeterOverview(msgspec.Struct, frozen=True):
    """What a meter's page shows."""

    meter_id: int
    meter: str
    """With dashes."""
    timezone: str
    region: str | None
    totals: list[PeriodTotal]


@get("/", sync_to_thread=True, include_in_schema=False)
def landing_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> Template | Redirect:
    """Show the way in; who is signed in goes straight to their meters."""
    if caller.account is not None:
        return Redirect("/profile", status_code=303)
    return rendered(request, caller, "landing.html")


@get("/profile", sync_to_thread=True, include_in_schema=False)
def profile_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    meter: FromQuery[str] = "",
) -> Template | Redirect | Response[dict[str, list[int]]]:
    """List one's meters, or go to the one entered."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    wrong = ""
    if meter:
        try:
            return Redirect(f"/profile/{meter_id(meter)}", status_code=303)
        except MeterIdError as error:
            wrong = str(error)
    with book_of(request).database.reading() as connection:
        mine = meters_of_account(connection, account_id=account.id)
    if not wants_page(request):
        return Response({"meters": mine})
    page = {"account": account, "meters": [dashed(m) for m in mine], "wrong": wrong}
    return rendered(request, caller, "profile.html", page=page, status_code=400 if wrong else 200)


@get("/profile/{meter_id:str}", sync_to_thread=True, summary="One meter at a glance")
def meter_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
) -> Response[MeterOverview] | Template | Redirect:
    """Show today, this week and this month."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    account = caller.signed_in()
    totals = []
    with book_of(request).database.reading() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        for name in OVERVIEW_PERIODS:
            period = named_period(name, now=now, zone=time_zone(place.zone))
            answer = consumption(
                connection, place=place, period=period, resolution=period.resolution, now=now
            )
            totals.append(PeriodTotal(name, answer.total_kwh, answer.missing_intervals))
    overview = MeterOverview(
        place.meter_id, dashed(place.meter_id), place.zone, place.region, totals
    )
    if not page_wanted:
        return Response(overview)
    return rendered(request, caller, "meter.html", page=overview)
