"""`/profile/{meterId}`: one meter at a glance, and its name."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of, visible_meter
from meterbook.charts.bars import energy_bars, is_missing_drawn
from meterbook.charts.spark import Spark, spark
from meterbook.charts.theme import Figure
from meterbook.domain.meter_ids import dashed
from meterbook.queries.meter_overview import Latest, MeterOverview, Overview, meter_overview
from meterbook.registry.accounts import Account, Role
from meterbook.registry.meter_points import change_meter_point
from meterbook.web.consumption_charts import Row, bars, table_rows
from meterbook.web.dashboard import STAFF
from meterbook.web.formats import age, clock, day, separators
from meterbook.web.pages import rendered, sign_in_first, wants_page

NAME_CHARACTERS_MAX = 60
_SILENT_S = 6 * 3600  # several packets long, longer than the nightly backup


class LatestInWords(msgspec.Struct, frozen=True):
    """The last reading, as people say it."""

    average_kw: float
    energy_kwh: float
    interval: str
    age: str
    is_silent: bool
    """Whether it is so long ago that something is wrong."""


class MeterPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    meter: str
    """With dashes."""
    is_own: bool
    may_edit: bool
    """Whether the reader may correct its readings."""
    overview: MeterOverview
    latest: LatestInWords | None
    missing_share: float
    bars: Figure
    shows_missing: bool
    rows: list[Row]
    spark: Spark | None


class NameForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    name: Annotated[str, msgspec.Meta(max_length=1_000)]


@get("/profile/{meter_id:str}", sync_to_thread=True, summary="One meter at a glance")
def meter_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
) -> Response[MeterOverview] | Template | Redirect:
    """Show the last reading, today, this week and this month."""
    page_wanted = wants_page(request)
    if caller.account is None and page_wanted:
        return sign_in_first(request)
    account = caller.signed_in()
    with book_of(request).database.reading() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        overview = meter_overview(connection, place=place, now=now)
    if not page_wanted:
        return Response(overview.meter)
    is_own = place.account_id == account.id
    page = _page(overview, is_own=is_own, reader=account, interval_s=place.interval_s)
    return rendered(request, caller, "meter.html", page=page)


@post("/profile/{meter_id:str}/name", sync_to_thread=True, include_in_schema=False)
def name_meter(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    data: Annotated[NameForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    """Give one's meter a name; an empty one takes it away. Admins name any."""
    account = caller.signed_in()
    name = " ".join("".join(c if c.isprintable() else " " for c in data.name).split())
    with book_of(request).database.writing() as connection:
        place = visible_meter(connection, caller=account, written_id=meter_id)
        if place.account_id != account.id:
            caller.with_role(Role.ADMIN)
        change_meter_point(
            connection,
            meter_point_id=place.meter_point_id,
            changes={"name": name[:NAME_CHARACTERS_MAX] or None},
            by=account.id,
            now=now,
        )
    return Redirect(f"/profile/{place.meter_id}", status_code=303)


def _page(overview: Overview, *, is_own: bool, reader: Account, interval_s: int) -> MeterPage:
    meter = overview.meter
    ended = meter.quality.known_intervals + meter.quality.missing_intervals
    drawn = bars(overview.today, overview.yesterday, interval_s=interval_s)
    return MeterPage(
        meter=dashed(meter.meter_id),
        is_own=is_own,
        may_edit=reader.role in STAFF,
        overview=meter,
        latest=None if meter.latest is None else _in_words(meter.latest),
        missing_share=meter.quality.missing_intervals / ended if ended else 0.0,
        bars=energy_bars(drawn, separators=separators()),
        shows_missing=any(is_missing_drawn(bar) for bar in drawn),
        rows=table_rows(overview.today, overview.yesterday),
        spark=spark(overview.daily),
    )


def _in_words(latest: Latest) -> LatestInWords:
    begin, end = (datetime.fromisoformat(text) for text in (latest.starts_at, latest.ends_at))
    return LatestInWords(
        latest.average_kw,
        latest.energy_kwh,
        f"{day(begin, 'MMMEd')}, {clock(begin)}\N{EN DASH}{clock(end)}",
        age(latest.age_s),
        latest.age_s > _SILENT_S,
    )
