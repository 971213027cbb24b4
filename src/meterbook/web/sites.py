"""`/sites` and `/sites/{id}`: what the roof gives, what comes from the grid and what goes to it."""

from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.charts.sites import site_chart
from meterbook.charts.theme import Figure
from meterbook.domain.counters import COUNTED_INTERVAL_S
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.periods import Period, Resolution, asked_period
from meterbook.domain.solar import COMPLETENESS_MIN
from meterbook.queries.site_energy import SiteShown
from meterbook.queries.site_list import ListedHost, ListedSite, listed_sites
from meterbook.queries.site_report import SiteReport, SolarFigures, site_report, site_zone
from meterbook.registry.locations import location
from meterbook.web import formats
from meterbook.web.hosts import ID_MAX, PERIODS, SILENT_S, Health, health_of
from meterbook.web.languages import gettext, marked
from meterbook.web.measured import NOTHING, amount_words, tick_words
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.region_drawings import separators
from meterbook.web.wording import point_words, range_words

SITE_PERIODS = PERIODS[1:]  # an hour is too short for a balance
_INTERVALS_AN_HOUR = 3600 // COUNTED_INTERVAL_S
_WHOLE_REFUSALS = (
    marked("the sun did not shine on the array in this period"),
    marked("the location has no coordinates"),
    marked("the period is too long or empty"),
)
_NOW_S = 1_200  # how old the newest five minutes may be to be called now


class Flow(msgspec.Struct, frozen=True):
    """What flows between roof, house and grid: figures, and whether anything does."""

    production: str
    grid_import: str
    grid_export: str
    consumption: str
    roof_gives: bool
    grid_gives: bool
    grid_takes: bool


class SitesPage(msgspec.Struct, frozen=True):
    """What the list of sites shows."""

    sites: list[ListedSite]
    healths: dict[int, Health]
    """By host."""


class SitePage(msgspec.Struct, frozen=True):
    """What a site's page shows."""

    site: ListedSite
    healths: dict[int, Health]
    report: SiteReport
    now: Flow | None
    """Mean power of the newest five minutes; None where they are too old."""
    why_nothing: str
    """What to say where it is None."""
    whole: Flow
    """Energy of the period."""
    range: str
    self_consumption: str
    self_sufficiency: str
    solar: list[tuple[str, str]]
    """Words and figure."""
    why_no_ratio: str
    """Why no performance against a clear sky is said; empty where it is."""
    figure: Figure
    rows: list[tuple[str, list[str]]]
    periods: tuple[str, ...]
    first_day: date
    last_day: date


@get("/sites", sync_to_thread=True, include_in_schema=False)
def sites_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[int]
) -> Response[list[ListedSite]] | Template | Redirect:
    """List one's sites with their hosts; staff sees everybody's."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    owner = None if account.sees_every_meter else account.id
    with book_of(request).database.reading() as connection:
        sites = listed_sites(connection, account_id=owner)
    if not wants_page(request):
        return Response(sites)
    hosts = [host for site in sites for host in site.hosts]
    page = SitesPage(sites, _healths(hosts, now=now, zone=time_zone(book_of(request).default_zone)))
    return rendered(request, caller, "sites.html", page=page)


@get("/sites/{location_id:int}", sync_to_thread=True, include_in_schema=False)
def site_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    location_id: Annotated[int, PathParameter(ge=1, le=ID_MAX)],
    period: FromQuery[str] = "",
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
    resolution: FromQuery[Resolution | None] = None,
) -> Response[SiteReport] | Template | Redirect:
    """Show the flow from roof to house to grid, now and over a period."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    account = caller.signed_in()
    zone_name = book_of(request).default_zone
    with book_of(request).database.reading() as connection:
        owner = None if account.sees_every_meter else account.id
        place = location(connection, location_id=location_id, account_id=owner)
        zone = site_zone(connection, location_id=location_id, default_zone=zone_name)

        def report_of(wanted: Period, fineness: Resolution | None) -> SiteReport:
            return site_report(
                connection,
                location_id=location_id,
                period=wanted,
                resolution=fineness,
                default_zone=zone_name,
                now=now,
            )

        wanted = asked_period(period, first_day, end_day, now=now, zone=zone)
        report = report_of(wanted, resolution)
        if not page_wanted:
            return Response(report)
        begun = (now - _NOW_S) // COUNTED_INTERVAL_S * COUNTED_INTERVAL_S
        newest = Period("now", begun, now, Resolution.FIVE_MINUTES)
        latest = report_of(newest, newest.resolution)
        listed = listed_sites(connection, account_id=None, location_id=location_id)
    address = f"{place.street} {place.number}, {place.city}"
    site = listed[0] if listed else ListedSite(location_id, address, [])
    return rendered(request, caller, "site.html", page=_page(site, report, latest, now=now))


def _page(site: ListedSite, report: SiteReport, latest: SiteReport, *, now: int) -> SitePage:
    columns = point_words([p.starts_at for p in report.points], resolution=report.resolution)
    zone = time_zone(report.timezone)
    begins, ends = (date.fromisoformat(text[:10]) for text in (report.starts_at, report.ends_at))
    total = report.total
    return SitePage(
        site=site,
        healths=_healths(site.hosts, now=now, zone=zone),
        report=report,
        now=_now(latest),
        why_nothing=why_nothing(site.hosts, now=now),
        whole=_flow(total, unit="kWh", times=1),
        range=range_words(report.starts_at, report.ends_at),
        self_consumption=_share(total.self_consumption),
        self_sufficiency=_share(total.self_sufficiency),
        solar=_solar(report),
        why_no_ratio=why_no_ratio(report.solar),
        figure=site_chart(
            columns,
            ticks=tick_words([p.starts_at for p in report.points], columns),
            production=[p.production for p in report.points],
            grid_import=[p.grid_import for p in report.points],
            grid_export=[p.grid_export for p in report.points],
            clear_sky=[p.clear_sky for p in report.points],
            words=(
                gettext("Roof"), gettext("From the grid"), gettext("To the grid"),
                gettext("Clear sky"),
            ),
            separators=separators(),
        ),
        rows=[
            (column, [_kwh(amount) for amount in (
                point.production, point.grid_import, point.grid_export, point.consumption
            )])
            for column, point in zip(columns, report.points, strict=True)
        ],
        periods=SITE_PERIODS,
        first_day=begins,
        last_day=min(max(ends - timedelta(days=1), begins), local_day(now, zone)),
    )  # fmt: skip


def _now(latest: SiteReport) -> Flow | None:
    known = [point for point in latest.points if point.consumption is not None]
    if not known:
        return None
    return _flow(known[-1], unit="kW", times=_INTERVALS_AN_HOUR)


def _flow(point: SiteShown, *, unit: str, times: int) -> Flow:
    def words(energy: float | None) -> str:
        return NOTHING if energy is None else f"{formats.number(energy * times, 2)} {unit}"

    return Flow(
        words(point.production),
        words(point.grid_import),
        words(point.grid_export),
        words(point.consumption),
        bool(point.production),
        bool(point.grid_import),
        bool(point.grid_export),
    )


def _solar(report: SiteReport) -> list[tuple[str, str]]:
    solar = report.solar
    if solar is None:
        return []
    figures = [
        (gettext("Arrays"), f"{formats.number(solar.peak_kw, 2)} kWp"),
        (gettext("Specific yield"), amount_words(solar.specific_yield, "kWh/kWp")),
        (gettext("Clear sky would have given"), amount_words(solar.clear_sky_energy, "kWh")),
    ]
    if solar.refused is None:
        figures.append(
            (gettext("Performance against a clear sky"), _share(solar.performance_ratio))
        )
    return figures


def why_no_ratio(solar: SolarFigures | None) -> str:
    """Return why no performance against a clear sky is said, in the reader's language."""
    if solar is None or solar.refused is None:
        return ""
    if solar.refused in _WHOLE_REFUSALS or solar.completeness is None:
        return gettext(solar.refused)
    return gettext("only {known} of the daylight is known, {needed} needed").format(
        known=formats.percent(solar.completeness), needed=formats.percent(COMPLETENESS_MIN)
    )


def _healths(hosts: list[ListedHost], *, now: int, zone: ZoneInfo) -> dict[int, Health]:
    return {host.host: health_of(host, now=now, zone=zone) for host in hosts}


def why_nothing(hosts: list[ListedHost], *, now: int) -> str:
    """Return why no power is shown now."""
    if any(host.succeeded_at is not None and now - host.succeeded_at <= SILENT_S for host in hosts):
        return gettext("The devices answer; their first five minutes of energy are being read.")
    if any(host.failures_in_a_row for host in hosts):
        return gettext("No device answers: why, and since when, stands below.")
    return gettext("Nothing has been read in the last minutes.")


def _share(share: float | None) -> str:
    return NOTHING if share is None else formats.percent(share)


def _kwh(energy: float | None) -> str:
    return NOTHING if energy is None else formats.number(energy, 3)
