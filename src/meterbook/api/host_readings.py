"""`/user/hosts/{id}/readings`, `/status` and `/traits`, and counter events."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import MEASUREMENT_NAME, ItemId, MeasurementName, Text, given
from meterbook.counter_events import CounterEvent, record_counter_event
from meterbook.domain.local_days import time_zone
from meterbook.domain.periods import Resolution, asked_period
from meterbook.domain.site_energy import SiteRole
from meterbook.domain.units import kwh_to_wh
from meterbook.queries.host_readings import (
    EnergyReadings,
    MomentaryReadings,
    host_measured,
    host_readings,
)
from meterbook.queries.host_status import HostStatus, host_status
from meterbook.registry import host_traits
from meterbook.registry.accounts import Account, Role
from meterbook.registry.host_traits import HostTraits
from meterbook.registry.hosts import host
from meterbook.registry.refusals import WrongFieldError

Register = Annotated[float, msgspec.Meta(ge=0, le=1e12, examples=[12345.678])]
Measured = Annotated[str, QueryParameter(max_length=64, pattern=MEASUREMENT_NAME)]
EarliestDay = Annotated[date | None, QueryParameter(name="from", description="First day in.")]
EndDay = Annotated[date | None, QueryParameter(name="to", description="First day out.")]


class NewCounterEvent(msgspec.Struct, frozen=True):
    """A meter was exchanged, or its counter reset."""

    measurement: MeasurementName
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    """ISO 8601 with zone."""
    final: Register
    """What the counter showed last: kWh, or the unit of what is no energy."""
    first: Register
    """What it, or the new meter, showed then."""
    reason: Text


class SettledIntervals(msgspec.Struct, frozen=True):
    """What a counter event led to."""

    settled_intervals: int
    """Intervals of five minutes whose energy is known now."""


class TraitsChange(msgspec.Struct, frozen=True, rename={"rated_power_w": "rated_power_W"}):
    """What is to be different."""

    site_role: SiteRole | UnsetType | None = UNSET
    rated_power_w: Annotated[int, msgspec.Meta(ge=1, le=10_000_000_000)] | UnsetType | None = UNSET


@get("/user/hosts/{host_id:int}/readings", sync_to_thread=True, summary="Readings of a host")
def readings_of_my_host(
    visit: NamedDependency[Visit],
    host_id: ItemId,
    measurement: Measured,
    period: FromQuery[str] = "",
    first_day: EarliestDay = None,
    end_day: EndDay = None,
    resolution: FromQuery[Resolution | None] = None,
) -> EnergyReadings | MomentaryReadings:
    """Answer with one measurement over a period: energy, or mean, least and greatest."""
    with visit.reading() as (connection, account):
        host(connection, host_id=host_id, account_id=_seen_by(account))
        measured = host_measured(connection, host_id=host_id, measurement=measurement)
        wanted = asked_period(
            period, first_day, end_day, now=visit.now, zone=time_zone(measured.main.zone)
        )
        return host_readings(
            connection, measured=measured, period=wanted, resolution=resolution, now=visit.now
        )


@get("/user/hosts/{host_id:int}/status", sync_to_thread=True, summary="How a host is")
def status_of_my_host(visit: NamedDependency[Visit], host_id: ItemId) -> HostStatus:
    """Answer with what the host shows now, when it last answered, and what goes wrong."""
    with visit.reading() as (connection, account):
        host(connection, host_id=host_id, account_id=_seen_by(account))
        return host_status(connection, host_id=host_id, default_zone=visit.book.default_zone)


@get("/user/hosts/{host_id:int}/traits", sync_to_thread=True, summary="What a host is to its site")
def traits_of_my_host(visit: NamedDependency[Visit], host_id: ItemId) -> HostTraits:
    """Answer with the host's role at its site and its rated power."""
    with visit.reading() as (connection, account):
        return host_traits.host_traits(connection, host_id=host_id, account_id=_seen_by(account))


@patch(
    "/user/hosts/{host_id:int}/traits",
    sync_to_thread=True,
    summary="Say what a host is to its site",
)
def change_traits_of_my_host(
    visit: NamedDependency[Visit], host_id: ItemId, data: JSONBody[TraitsChange]
) -> HostTraits:
    """Change the host's role at its site, or its rated power."""
    with visit.writing() as (connection, account):
        return host_traits.change_host_traits(
            connection,
            host_id=host_id,
            account_id=None if account.role is Role.ADMIN else account.id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@post(
    "/admin/hosts/{host_id:int}/counter-events",
    sync_to_thread=True,
    summary="Tell of an exchanged meter or a reset counter",
)
def add_counter_event(
    visit: NamedDependency[Visit], host_id: ItemId, data: JSONBody[NewCounterEvent]
) -> SettledIntervals:
    """Give the counter's final and first register; the history goes on without a gap."""
    with visit.writing() as (connection, account):
        event = CounterEvent(
            host_id,
            data.measurement,
            _instant(data.at, now=visit.now),
            _amount(data.final),
            _amount(data.first),
            data.reason,
        )
        settled = record_counter_event(connection, event, by=account.id, now=visit.now)
        return SettledIntervals(settled)


def _instant(at: datetime, *, now: int) -> int:
    if not 0 <= at.timestamp() <= now:
        raise WrongFieldError("at", "must be in the past")
    return int(at.timestamp())


def _amount(register: float) -> int:
    return kwh_to_wh(Decimal(repr(register)))


def _seen_by(account: Account) -> int | None:
    return None if account.sees_every_meter else account.id
