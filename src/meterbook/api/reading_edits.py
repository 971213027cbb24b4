"""`/admin/packet-meters/{id}/readings`: a day of a meter reading by reading, and its edits."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
import sqlalchemy as sa
from litestar import get, patch
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from meterbook.access import Book, Visit, visible_meter
from meterbook.api.meter_points import PacketMeterId
from meterbook.api.wire import Flow, Text
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.units import kwh_to_wh
from meterbook.edits import EDITS_MAX, Edit, EditedChannel, edit_readings
from meterbook.queries.day_readings import DayOfReadings, day_readings
from meterbook.queries.meter_places import MeterPlace, export_place
from meterbook.registry.accounts import Account
from meterbook.registry.refusals import NotThereError, WrongFieldError

KWH_MAX = 1_000_000  # of one interval: a day of a large factory
Day = Annotated[date | None, QueryParameter(description="On the meter's clock; none: today.")]
Energy = Annotated[float, msgspec.Meta(ge=0, le=KWH_MAX, examples=[0.42])]


class ReadingEdit(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}):
    """What shall count in one interval."""

    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    """ISO 8601 with zone; the begin of an interval."""
    energy_kwh: Energy | None
    """Kept to 1 Wh. Null: the edit is withdrawn, and what arrived counts again."""


class ReadingEdits(msgspec.Struct, frozen=True):
    """Edits, all or none, and why."""

    readings: Annotated[list[ReadingEdit], msgspec.Meta(min_length=1, max_length=EDITS_MAX)]
    reason: Text
    """For the audit log."""


class Edited(msgspec.Struct, frozen=True):
    """What the edits led to."""

    changed: int
    """Intervals in which something else counts than before."""


@get(
    "/admin/packet-meters/{meter_id:int}/readings",
    sync_to_thread=True,
    summary="A day of a meter, reading by reading",
)
def readings_of_day(
    visit: NamedDependency[Visit],
    meter_id: PacketMeterId,
    day: Day = None,
    flow: FromQuery[Flow] = Flow.IMPORT,
) -> DayOfReadings:
    """Answer with what counts in each ended interval, and what it took the place of."""
    with visit.reading() as (connection, account):
        place = edited_place(connection, account, str(meter_id), flow)
        shown = day or local_day(visit.now, time_zone(place.zone))
        return day_readings(connection, place=place, day=shown, now=visit.now)


@patch(
    "/admin/packet-meters/{meter_id:int}/readings",
    sync_to_thread=True,
    summary="Edit readings of a meter",
)
def change_readings(
    visit: NamedDependency[Visit],
    meter_id: PacketMeterId,
    data: JSONBody[ReadingEdits],
    flow: FromQuery[Flow] = Flow.IMPORT,
) -> Edited:
    """
    Put readings in the place of wrong or missing ones, or take such edits back.

    What counted before is kept. An edit counts whatever the meter sends afterwards.
    """
    with visit.reading() as (connection, account):
        place = edited_place(connection, account, str(meter_id), flow)
    edits = [_edit(edit, now=visit.now) for edit in data.readings]
    if len({edit.starts_at for edit in edits}) < len(edits):
        raise WrongFieldError("readings", "name an interval more than once")
    changed = edit_place(
        visit.book, place, edits, flow=flow, reason=data.reason, by=account.id, now=visit.now
    )
    return Edited(changed)


def edited_place(
    connection: sa.Connection, account: Account, written_id: str, flow: Flow
) -> MeterPlace:
    """
    Return the meter with the channel of that direction.

    :raises NotFoundException: if the account may not see it, or there is no such meter.
    :raises NotThereError: if it has no such channel.
    """
    place = visible_meter(connection, caller=account, written_id=written_id)
    if flow is Flow.IMPORT:
        return place
    exported = export_place(connection, place=place)
    if exported is None:
        raise NotThereError("channel: the meter exports nothing")
    return exported


def edit_place(
    book: Book,
    place: MeterPlace,
    edits: Sequence[Edit],
    *,
    flow: Flow,
    reason: str,
    by: int,
    now: int,
) -> int:
    """
    Edit readings of a meter, all or none; return in how many intervals something else counts.

    :param flow: the direction that the place's channel is of.
    :raises meterbook.edits.NotEditableError: naming the first interval that cannot be edited.
    """
    channel = EditedChannel(
        place.channel_id,
        place.interval_s,
        time_zone(place.zone),
        f"packet-meters/{place.meter_id}/readings"
        + ("" if flow is Flow.IMPORT else f"?flow={flow}"),
    )
    return edit_readings(book.database, edits, channel=channel, reason=reason, by=by, now=now)


def _edit(edit: ReadingEdit, *, now: int) -> Edit:
    instant = edit.starts_at.timestamp()
    if instant % 1 or not 0 <= instant <= now:
        raise WrongFieldError("starts_at", f"{edit.starts_at.isoformat()}: no interval begins then")
    energy = edit.energy_kwh
    return Edit(int(instant), None if energy is None else kwh_to_wh(Decimal(repr(energy))))
