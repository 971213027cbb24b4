"""`/hosts/{id}`: what a host shows now, how reading it goes, any measurement over any period."""

from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.domain.host_polls import PollFailure
from meterbook.domain.local_days import local_day, local_time, time_zone
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.domain.periods import Period, Resolution, asked_period
from meterbook.queries.host_readings import host_measured, host_readings
from meterbook.queries.host_status import HostStatus, host_status
from meterbook.queries.site_list import ListedHost, ListedSite, listed_sites
from meterbook.registry.hosts import host
from meterbook.web.languages import gettext, marked
from meterbook.web.measured import (
    Drawn,
    amount_words,
    clock_words,
    drawn,
    measurement_words,
)
from meterbook.web.pages import rendered, sign_in_first, wants_page

PERIODS = ("prev-hr", "current-day", "prev-day", "current-week", "current-month", "current-year")
ID_MAX = 2**63 - 1  # what the databases hold
SILENT_S = 300  # five polls: one that is missed is nobody's worry
FAILURE_WORDS = {
    PollFailure.UNREACHABLE: marked("No connection"),
    PollFailure.TIMEOUT: marked("No answer in time"),
    PollFailure.EXCEPTION: marked("The device refused"),
    PollFailure.WRONG_ANSWER: marked("Another answer than asked for"),
    PollFailure.CUT_FRAME: marked("The answer broke off"),
}


class Health(msgspec.Struct, frozen=True):
    """How reading a host goes, in a word and a badge."""

    words: str
    badge: str
    detail: str = ""
    """Of what fails: why, and since when."""


class LiveRow(msgspec.Struct, frozen=True):
    """The last sample of a measurement."""

    measurement: str
    words: str
    amount: str
    at: str
    is_questionable: bool
    failure: str
    """Why the last poll did not bring it; empty: it did."""


class HostPage(msgspec.Struct, frozen=True):
    """What a host's page shows."""

    host: ListedHost
    site: ListedSite
    health: Health
    status: HostStatus
    last_success: str
    live: list[LiveRow]
    failures: list[tuple[str, int, str]]
    """Words, polls, the last one."""
    measurement: str
    measurement_words: str
    periods: tuple[str, ...]
    period: str
    first_day: date
    last_day: date
    drawn: Drawn | None
    """None where nothing is assigned."""


@get("/hosts/{host_id:int}", sync_to_thread=True, include_in_schema=False)
def host_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    host_id: Annotated[int, PathParameter(ge=1, le=ID_MAX)],
    measurement: FromQuery[str] = "",
    period: FromQuery[str] = "",
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
    resolution: FromQuery[Resolution | None] = None,
) -> Response[HostStatus] | Template | Redirect:
    """Show one host."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    account = caller.signed_in()
    book = book_of(request)
    with book.database.reading() as connection:
        owner = None if account.sees_every_meter else account.id
        location_id = host(connection, host_id=host_id, account_id=owner).location
        status = host_status(connection, host_id=host_id, default_zone=book.default_zone)
        if not page_wanted:
            return Response(status)
        zone = time_zone(status.timezone)
        wanted = asked_period(period, first_day, end_day, now=now, zone=zone)
        [site] = listed_sites(connection, account_id=None, location_id=location_id)
        chosen = measurement or _first(status)
        chart = _chart(connection, host_id, chosen, wanted, resolution, now)
    page = _page(host_id, site, status, chosen, wanted, chart, zone=zone, now=now)
    return rendered(request, caller, "host.html", page=page)


def health_of(host: ListedHost, *, now: int, zone: ZoneInfo) -> Health:
    """Return how reading a host goes."""
    detail = ""
    if host.failures_in_a_row and host.failure:
        since = host.added_at if host.succeeded_at is None else host.succeeded_at
        detail = gettext("%(reason)s, since %(moment)s") % {
            "reason": gettext(FAILURE_WORDS[host.failure]),
            "moment": clock_words(local_time(since, zone).isoformat()),
        }
    if host.succeeded_at is None and host.failures_in_a_row:
        return Health(gettext("never answered"), "badge-alarm", detail)
    if host.succeeded_at is None:
        return Health(gettext("not read yet"), "badge-missing")
    if host.failures_in_a_row and now - host.succeeded_at > SILENT_S:
        return Health(gettext("silent"), "badge-alarm", detail)
    if host.failures_in_a_row:
        return Health(gettext("missed a poll"), "badge-caution")
    return Health(gettext("answers"), "badge-good")


def _first(status: HostStatus) -> str:
    current = [m for m in status.measurements if m.kind is MeasurementKind.CURRENT]
    preferred = [m for m in current if m.measurement == "active_power"]
    first = next(iter([*preferred, *current, *status.measurements]), None)
    return first.measurement if first else ""


def _chart(
    connection: sa.Connection,
    host_id: int,
    measurement: str,
    period: Period,
    resolution: Resolution | None,
    now: int,
) -> Drawn | None:
    if not measurement:
        return None
    measured = host_measured(connection, host_id=host_id, measurement=measurement)
    return drawn(
        host_readings(connection, measured=measured, period=period, resolution=resolution, now=now)
    )


def _page(
    host_id: int,
    site: ListedSite,
    status: HostStatus,
    measurement: str,
    period: Period,
    chart: Drawn | None,
    *,
    zone: ZoneInfo,
    now: int,
) -> HostPage:
    listed = next(one for one in site.hosts if one.host == host_id)
    return HostPage(
        host=listed,
        site=site,
        health=health_of(listed, now=now, zone=zone),
        status=status,
        last_success=clock_words(status.last_success),
        live=[
            LiveRow(
                live.measurement,
                measurement_words(live.measurement),
                amount_words(live.amount, live.unit),
                clock_words(live.at),
                live.quality == "questionable",
                _failure_words(status.failing.get(live.measurement)),
            )
            for live in status.measurements
        ],
        failures=[
            (_failure_words(kind), total.polls, clock_words(total.last_at))
            for kind, total in status.failures.items()
        ],
        measurement=measurement,
        measurement_words=measurement_words(measurement),
        periods=PERIODS,
        period=period.name,
        first_day=local_day(period.starts_at, zone),
        last_day=local_day(period.ends_at, zone) - timedelta(days=1)
        if period.name != "prev-hr"
        else local_day(period.starts_at, zone),
        drawn=chart,
    )


def _failure_words(kind: str | None) -> str:
    return gettext(FAILURE_WORDS[PollFailure(kind)]) if kind else ""
