"""
`/v1/electricity-meter-points/...`: consumption as programs for Octopus Energy's API read it.

The token is the name of Basic credentials, the password empty. `mpan` is a name others gave the
meter, or our number; `serial` is not looked at. Newest first, a hundred a page.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException, ValidationException
from litestar.params import FromQuery, PathParameter, QueryParameter

from meterbook.access import Visit, visible_meter
from meterbook.queries.consumption_pages import ConsumptionItem, Grouping, consumption_items
from meterbook.queries.exported import days_of_books
from meterbook.registry.foreign_ids import meter_called

PAGE_SIZE, PAGE_SIZE_MAX = 100, 25_000
_DAY_S = 86_400
Name = Annotated[str, PathParameter(max_length=64)]
Instant = Annotated[
    str | None,
    QueryParameter(
        description="ISO 8601, to the day, minute or second; without zone: UTC.",
        max_length=40,
        schema_extra={"format": "date-time"},
    ),
]


class ConsumptionPage(msgspec.Struct, frozen=True):
    """One page of a meter's consumption."""

    count: int
    """Of all pages."""
    next: str | None
    previous: str | None
    results: list[ConsumptionItem]


@get(
    "/v1/electricity-meter-points/{mpan:str}/meters/{serial:str}/consumption",
    sync_to_thread=True,
    summary="A meter's consumption, page by page",
)
def consumption_pages(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    mpan: Name,
    serial: Name,  # noqa: ARG001 one meter a meter point
    period_from: Instant = None,
    period_to: Instant = None,
    page_size: Annotated[int, QueryParameter(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE,
    page: Annotated[int, QueryParameter(ge=1, le=1_000_000)] = 1,
    order_by: Annotated[str, QueryParameter(pattern="^-?period$")] = "-period",
    group_by: FromQuery[Grouping | None] = None,
) -> ConsumptionPage:
    """List half-hours, or groups of them, from `period_from` up to, not including, `period_to`."""
    with visit.reading() as (connection, account):
        number = meter_called(connection, mpan)
        if number is None:
            raise NotFoundException("no such meter")
        place = visible_meter(connection, caller=account, written_id=str(number))
        items: list[ConsumptionItem] = []
        days = days_of_books(connection)
        if days is not None:
            first, end = (int(datetime(*d.timetuple()[:3], tzinfo=UTC).timestamp()) for d in days)
            begins_at = first if period_from is None else max(_epoch(period_from), first)
            ends_at = end if period_to is None else min(_epoch(period_to), end)
            if begins_at < ends_at:
                items = consumption_items(
                    connection,
                    place=place,
                    begins_at=begins_at,
                    ends_at=ends_at,
                    grouping=group_by,
                )
    if order_by.startswith("-"):
        items.reverse()
    shown = items[(page - 1) * page_size : page * page_size]
    has_next = page * page_size < len(items)
    return ConsumptionPage(
        len(items),
        _link(request, page + 1) if has_next else None,
        _link(request, page - 1) if page > 1 else None,
        shown,
    )


def _epoch(written: str) -> int:
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise ValidationException(f"{written!r} is no ISO 8601 date and time") from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def _link(request: Request[Any, Any, Any], page: int) -> str:
    said = [(name, text) for name, text in request.query_params.multi_items() if name != "page"]
    return f"{request.url.with_replacements(query=urlencode([*said, ('page', page)]))}"
