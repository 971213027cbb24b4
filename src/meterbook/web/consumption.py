"""`/profile/{meterId}/consumption`: one answer, as a page or as JSON."""

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of, visible_meter
from meterbook.domain.local_days import time_zone
from meterbook.domain.meter_ids import dashed
from meterbook.domain.periods import (
    EmptyRangeError,
    Period,
    Resolution,
    free_period,
    named_period,
)
from meterbook.queries.consumption import Consumption, consumption
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.wording import PERIOD_WORDS, period_words, point_words, range_words

DEFAULT_PERIOD = "current-day"


class ConsumptionPage(msgspec.Struct, frozen=True):
    """What the consumption page shows."""

    meter: str
    periods: dict[str, str]
    """Name to words."""
    range: str
    begins: list[str]
    """One per point of the answer."""
    answer: Consumption


@get("/profile/{meter_id:str}/consumption", sync_to_thread=True, summary="Consumption of a meter")
def consumption_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    period: FromQuery[str] = "",
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
    resolution: FromQuery[Resolution | None] = None,
) -> Response[Consumption] | Template | Redirect:
    """Answer with the energy of the period, as points that add up to the total."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    account = caller.signed_in()
    book = book_of(request)
    with book.database.reading() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        wanted = _period(period, first_day, end_day, now=now, zone=time_zone(place.zone))
        answer = consumption(
            connection,
            place=place,
            period=wanted,
            resolution=resolution or wanted.resolution,
            now=now,
        )
    if not page_wanted:
        return Response(answer)
    page = ConsumptionPage(
        dashed(place.meter_id),
        {name: period_words(name) for name in PERIOD_WORDS},
        range_words(answer.starts_at, answer.ends_at),
        point_words([p.starts_at for p in answer.points], resolution=answer.resolution),
        answer,
    )
    return rendered(request, caller, "consumption.html", page=page)


def _period(
    name: str, first_day: date | None, end_day: date | None, *, now: int, zone: ZoneInfo
) -> Period:
    if first_day is None and end_day is None:
        return named_period(name or DEFAULT_PERIOD, now=now, zone=zone)
    if first_day is None or end_day is None or name:
        raise EmptyRangeError("give from and to together, without period")
    return free_period(first_day, end_day, zone=zone)
