"""`/profile/{meterId}/consumption`: one answer, as a page, as JSON or as CSV."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of, visible_meter
from meterbook.api.wire import Flow
from meterbook.domain.local_days import time_zone
from meterbook.domain.periods import (
    Resolution,
    asked_period,
)
from meterbook.exports.consumption_csv import consumption_csv
from meterbook.queries.consumption import Consumption, consumption
from meterbook.queries.meter_places import export_place
from meterbook.queries.period_figures import PeriodFigures
from meterbook.queries.points import require_few_points
from meterbook.queries.region_average import RegionAverage, region_average
from meterbook.registry.accounts import Account
from meterbook.web.consumption_page import Asked, consumption_page_of, figures_of
from meterbook.web.pages import rendered, sign_in_first, wants_page

FirstDay = Annotated[date | None, QueryParameter(name="from")]
EndDay = Annotated[date | None, QueryParameter(name="to")]
POINTS_MAX = 400_000  # 22 years of half-hours: 19 MB, and six times that while they are written


class Form(StrEnum):
    """How the answer is written, where the Accept header cannot say it: in a link."""

    CSV = "csv"
    JSON = "json"


@get("/profile/{meter_id:str}/consumption", sync_to_thread=True, summary="Consumption of a meter")
def consumption_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    period: FromQuery[str] = "",
    first_day: FirstDay = None,
    end_day: EndDay = None,
    last: FromQuery[date | None] = None,
    resolution: FromQuery[Resolution | None] = None,
    flow: FromQuery[Flow] = Flow.IMPORT,
    format: FromQuery[Form | None] = None,  # noqa: A002 the query's name
) -> Response[Consumption] | Template | Redirect:
    """Answer with the energy of the period, as points that add up to the total."""
    page_wanted = wants_page(request) and format is None
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    if last is not None and first_day is not None:
        return _to_range(request, first_day, last, flow)
    with book_of(request).database.reading() as connection:
        asked = _asked(
            connection, account, meter_id, period, (first_day, end_day), resolution, flow, now=now
        )
        if page_wanted:
            group_min = book_of(request).region_group_min
            page = consumption_page_of(connection, asked, group_min=group_min)
            return rendered(request, caller, "consumption.html", page=page)
        answer = consumption(
            connection,
            place=asked.place,
            period=asked.period,
            resolution=asked.resolution,
            now=now,
        )
    return _csv(answer, flow) if format is Form.CSV else Response(answer)


@get(
    "/profile/{meter_id:str}/consumption/figures",
    sync_to_thread=True,
    summary="Base load, peak, average day and change of a period",
)
def consumption_figures(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    period: FromQuery[str] = "",
    first_day: FirstDay = None,
    end_day: EndDay = None,
    flow: FromQuery[Flow] = Flow.IMPORT,
) -> PeriodFigures:
    """Answer with the figures that the page shows beside the total."""
    account = caller.signed_in()
    with book_of(request).database.reading() as connection:
        asked = _asked(
            connection, account, meter_id, period, (first_day, end_day), None, flow, now=now
        )
        return figures_of(connection, asked)


@get(
    "/profile/{meter_id:str}/region",
    sync_to_thread=True,
    summary="What homes of the meter's region use on an average day",
)
def region_of_meter(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    period: FromQuery[str] = "prev-month",
    first_day: FirstDay = None,
    end_day: EndDay = None,
) -> RegionAverage:
    """Answer with the average home of the region, or why that is withheld."""
    account = caller.signed_in()
    book = book_of(request)
    with book.database.reading() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        zone = time_zone(place.zone)
        name = "" if first_day or end_day else period
        return region_average(
            connection,
            place=place,
            period=asked_period(name, first_day, end_day, now=now, zone=zone),
            group_min=book.region_group_min,
            now=now,
        )


def _asked(
    connection: sa.Connection,
    account: Account,
    written_id: str,
    name: str,
    days: tuple[date | None, date | None],
    resolution: Resolution | None,
    flow: Flow,
    *,
    now: int,
) -> Asked:
    place = visible_meter(connection, caller=account, written_id=written_id)
    if flow is Flow.EXPORT:
        exporting = export_place(connection, place=place)
        if exporting is None:
            raise NotFoundException("this meter exports nothing")
        place = exporting
    period = asked_period(name, *days, now=now, zone=time_zone(place.zone))
    chosen = resolution or period.resolution
    require_few_points(period, chosen, points_max=POINTS_MAX)
    return Asked(place, period, chosen, flow is Flow.EXPORT, now)


def _to_range(request: Request[Any, Any, Any], first_day: date, last: date, flow: Flow) -> Redirect:
    """Send who filled in the form, whose last day is in it, to the range's own address."""
    first, last = min(first_day, last), max(first_day, last)
    end = last + timedelta(days=1) if last < date.max else last
    query = {"from": first.isoformat(), "to": end.isoformat()}
    if flow is not Flow.IMPORT:
        query["flow"] = flow.value
    return Redirect(f"{request.url.path}?{urlencode(query)}", status_code=303)


def _csv(answer: Consumption, flow: Flow) -> Response[Any]:
    name = (
        f"meterbook-{answer.meter_id}-{flow.value}-{answer.starts_at[:10]}"
        f"-{answer.period}-{answer.resolution.value}.csv"
    )
    return Response(
        consumption_csv(answer),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
