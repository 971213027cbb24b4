"""
`/profile/{meterId}/readings`: a day reading by reading, where an operator corrects it.

A field left empty stays as it is: only what was entered, or ticked, is changed.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.api.reading_edits import KWH_MAX, edit_place, edited_place
from meterbook.api.wire import Flow
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.meter_ids import dashed
from meterbook.domain.readings import Quality
from meterbook.domain.units import kwh_to_wh
from meterbook.edits import Edit, NotEditableError
from meterbook.queries.day_readings import DayOfReadings, IntervalReading, day_readings
from meterbook.queries.meter_places import MeterPlace
from meterbook.web.dashboard import STAFF
from meterbook.web.formats import clock, kwh
from meterbook.web.formats import day as day_words
from meterbook.web.languages import gettext, marked, ngettext
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.wording import quality_words
from meterbook.web.wrong_fields import NEEDED, TOO_LONG

REASON_CHARACTERS_MAX = 200
NOTHING_ENTERED = marked("Enter a reading, or tick an edit that is to be withdrawn.")
NOT_AN_ENERGY = marked("Enter an energy in kWh, such as 0.42.")
NOT_EDITABLE = marked("This cannot be changed: it is not over, or was changed meanwhile.")
# Both are decimal signs, whatever the language: 1.234 must never become a thousand times as much.
_NUMBER = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,12})?", re.ASCII)
_ENERGY, _WITHDRAW = "kwh-", "withdraw-"
FormBody = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


class ShownReading(msgspec.Struct, frozen=True):
    """One line of the table."""

    field: str
    """Name of its field in the form."""
    withdraw: str
    """Name of its tick; empty where nothing was edited."""
    words: str
    energy_kwh: float | None
    quality: str
    earlier: list[str]


class ReadingsPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    meter: str
    """With dashes."""
    name: str | None
    zone: str
    flow: str
    day: date
    words: str
    earlier: str
    """The way to the day before."""
    later: str | None
    today: date
    rows: list[ShownReading]
    values: Mapping[str, str]
    errors: Mapping[str, str]
    said: str
    """What has just been done; empty: nothing."""


@get("/profile/{meter_id:str}/readings", sync_to_thread=True, include_in_schema=False)
def readings_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    day: FromQuery[date | None] = None,
    flow: FromQuery[Flow] = Flow.IMPORT,
    changed: FromQuery[int] = -1,
) -> Response[DayOfReadings] | Template | Redirect:
    """Show what counts in each interval of the day, and what it took the place of."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    place = _place(request, caller, meter_id, flow)
    shown = _shown_day(request, place, day, now)
    if not wants_page(request):
        return Response(shown)
    said = ""
    if changed >= 0:
        said = ngettext("{count} reading is changed.", "{count} readings are changed.", changed)
    return _page(request, caller, place, shown, flow, now=now, said=said.format(count=changed))


@post("/profile/{meter_id:str}/readings", sync_to_thread=True, include_in_schema=False)
def edit_by_form(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    meter_id: FromPath[str],
    data: FormBody,
    day: FromQuery[date | None] = None,
    flow: FromQuery[Flow] = Flow.IMPORT,
) -> Template | Redirect:
    """Change what was entered, all or nothing."""
    place = _place(request, caller, meter_id, flow)
    shown = _shown_day(request, place, day, now)
    entered = {name: sent.strip() for name, sent in data.items() if isinstance(sent, str)}
    edits, errors = _read_edits(entered, shown)
    reason = entered.get("reason", "")
    if not reason:
        errors["reason"] = gettext(NEEDED)
    elif len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
        errors["reason"] = gettext(TOO_LONG)
    if not errors and not edits:
        errors[""] = gettext(NOTHING_ENTERED)
    if not errors:
        by = caller.signed_in().id
        try:
            changed = edit_place(
                book_of(request), place, edits, flow=flow, reason=reason, by=by, now=now
            )
        except NotEditableError as error:
            errors[f"{_ENERGY}{error.starts_at}"] = gettext(NOT_EDITABLE)
        else:
            asked = {"day": shown.day.isoformat(), "flow": flow.value, "changed": changed}
            return Redirect(
                f"/profile/{place.meter_id}/readings?{urlencode(asked)}", status_code=303
            )
    return _page(request, caller, place, shown, flow, now=now, values=entered, errors=errors)


def _place(
    request: Request[Any, Any, Any], caller: Caller, meter_id: str, flow: Flow
) -> MeterPlace:
    account = caller.with_role(*STAFF)
    with book_of(request).database.reading() as connection:
        return edited_place(connection, account, meter_id, flow)


def _shown_day(
    request: Request[Any, Any, Any], place: MeterPlace, day: date | None, now: int
) -> DayOfReadings:
    today = local_day(now, time_zone(place.zone))
    # Of a day to come there is nothing to see, and of one before 1970 nothing to keep.
    wanted = min(max(day or today, date(1970, 1, 2)), today)
    with book_of(request).database.reading() as connection:
        return day_readings(connection, place=place, day=wanted, now=now)


def _read_edits(
    entered: Mapping[str, str], shown: DayOfReadings
) -> tuple[list[Edit], dict[str, str]]:
    edits: list[Edit] = []
    errors: dict[str, str] = {}
    for reading in shown.readings:
        start = _start(reading)
        field = f"{_ENERGY}{start}"
        written = entered.get(field, "")
        if written:
            energy_wh = _energy_wh(written)
            if energy_wh is None:
                errors[field] = gettext(NOT_AN_ENERGY)
            else:
                edits.append(Edit(start, energy_wh))
        elif f"{_WITHDRAW}{start}" in entered:
            edits.append(Edit(start, None))
    return edits, errors


def _energy_wh(written: str) -> int | None:
    if not _NUMBER.fullmatch(written):
        return None
    energy_kwh = Decimal(written.replace(",", "."))
    return kwh_to_wh(energy_kwh) if energy_kwh <= KWH_MAX else None


def _page(
    request: Request[Any, Any, Any],
    caller: Caller,
    place: MeterPlace,
    shown: DayOfReadings,
    flow: Flow,
    *,
    now: int,
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    said: str = "",
) -> Template:
    today = local_day(now, time_zone(place.zone))
    page = ReadingsPage(
        meter=dashed(place.meter_id),
        name=place.name,
        zone=place.zone,
        flow=flow.value,
        day=shown.day,
        words=day_words(shown.day, "yMMMEd"),
        earlier=_way(place, shown.day - timedelta(days=1), flow),
        later=_way(place, shown.day + timedelta(days=1), flow) if shown.day < today else None,
        today=today,
        rows=_rows(shown.readings),
        values=values or {},
        errors=errors or {},
        said=said,
    )
    status = 400 if errors else 200
    return rendered(request, caller, "readings.html", page=page, status_code=status)


def _way(place: MeterPlace, day: date, flow: Flow) -> str:
    asked = {"day": day.isoformat()} | ({"flow": flow.value} if flow is not Flow.IMPORT else {})
    return f"/profile/{place.meter_id}/readings?{urlencode(asked)}"


def _rows(readings: Sequence[IntervalReading]) -> list[ShownReading]:
    rows: list[ShownReading] = []
    begun: set[time] = set()
    for reading in readings:
        begins = datetime.fromisoformat(reading.starts_at).time()
        # The hour that the clock repeats in autumn: one of the two must not be edited as the other.
        offset = f" ({reading.starts_at[-6:]})" if begins in begun else ""
        rows.append(_row(reading, offset))
        begun.add(begins)
    return rows


def _row(reading: IntervalReading, offset: str) -> ShownReading:
    start = _start(reading)
    begins, ends = (datetime.fromisoformat(text) for text in (reading.starts_at, reading.ends_at))
    is_edited = reading.quality == Quality.EDITED.word
    return ShownReading(
        field=f"{_ENERGY}{start}",
        withdraw=f"{_WITHDRAW}{start}" if is_edited else "",
        words=f"{clock(begins)}\N{EN DASH}{clock(ends)}{offset}",
        energy_kwh=reading.energy_kwh,
        quality=quality_words(reading.quality),
        earlier=[
            f"{kwh(earlier.energy_kwh)} ({quality_words(earlier.quality)})"
            for earlier in reading.earlier
        ],
    )


def _start(reading: IntervalReading) -> int:
    return int(datetime.fromisoformat(reading.starts_at).timestamp())
