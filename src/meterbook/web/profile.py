"""`/` and `/profile`: the way to one's meters, and to one more."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.charts.spark import Spark, spark
from meterbook.domain.meter_ids import MeterIdError, dashed, meter_id
from meterbook.queries.meter_places import meters_of_account
from meterbook.queries.own_meters import OwnMeter, own_meters
from meterbook.registry.new_customers import claim_another
from meterbook.registry.refusals import WrongFieldError
from meterbook.web.languages import gettext
from meterbook.web.meter import NAME_CHARACTERS_MAX
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.wrong_fields import CLAIMED, METER_ID_WRONG


class MeterCard(msgspec.Struct, frozen=True):
    """One meter of the list."""

    meter_id: int
    meter: str
    """With dashes."""
    name: str | None
    region: str | None
    average_day_kwh: float | None
    today_kwh: float | None
    """Shown where no day is over yet."""
    spark: Spark | None


class ProfilePage(msgspec.Struct, frozen=True):
    """What the page shows."""

    meters: list[MeterCard]
    sees_every_meter: bool
    values: dict[str, str] = {}
    """What was entered, by field."""
    errors: dict[str, str] = {}
    """Why it was refused, by field."""


class ClaimForm(msgspec.Struct, frozen=True):
    """What the form for one more meter sends."""

    meter_id: Annotated[str, msgspec.Meta(max_length=200)]
    name: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


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
    now: NamedDependency[int],
    meter: FromQuery[str] = "",
) -> Template | Redirect | Response[dict[str, list[int]]]:
    """List one's meters, or go to the one entered."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    errors = {}
    if meter:
        try:
            return Redirect(f"/profile/{dashed(meter_id(meter))}", status_code=303)
        except MeterIdError:
            errors["meter"] = gettext(METER_ID_WRONG)
    if not wants_page(request):
        with book_of(request).database.reading() as connection:
            mine = meters_of_account(connection, account_id=account.id)
        return Response({"meters": mine})
    return _profile(request, caller, now=now, values={"meter": meter}, errors=errors)


@post("/profile", sync_to_thread=True, include_in_schema=False)
def claim_one_more(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    data: Annotated[ClaimForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Template | Redirect:
    """Give one more meter to the account."""
    book = book_of(request)
    values = {"meter_id": data.meter_id, "name": data.name}
    try:
        point = claim_another(
            book.database,
            account=caller.signed_in(),
            meter_id=meter_id(data.meter_id),
            name=data.name.strip()[:NAME_CHARACTERS_MAX] or None,
            default_zone=book.default_zone,
            now=now,
        )
    except MeterIdError:
        errors = {"meter_id": gettext(METER_ID_WRONG)}
    except WrongFieldError:
        errors = {"meter_id": gettext(CLAIMED)}
    else:
        return Redirect(f"/profile/{dashed(point.meter_id)}", status_code=303)
    return _profile(request, caller, now=now, values=values, errors=errors)


def _profile(
    request: Request[Any, Any, Any],
    caller: Caller,
    *,
    now: int,
    values: dict[str, str],
    errors: dict[str, str],
) -> Template:
    account = caller.signed_in()
    with book_of(request).database.reading() as connection:
        mine = own_meters(connection, account_id=account.id, now=now)
    page = ProfilePage([_card(meter) for meter in mine], account.sees_every_meter, values, errors)
    return rendered(request, caller, "profile.html", page=page, status_code=400 if errors else 200)


def _card(meter: OwnMeter) -> MeterCard:
    known = [energy_kwh for energy_kwh in meter.daily_kwh if energy_kwh is not None]
    return MeterCard(
        meter.meter_id,
        dashed(meter.meter_id),
        meter.name,
        meter.region,
        sum(known) / len(known) if known else None,
        meter.today_kwh,
        spark(meter.daily_kwh),
    )
