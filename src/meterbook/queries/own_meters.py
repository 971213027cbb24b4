"""The meters of an account as its list shows them: name, region, and the last two weeks."""

from datetime import timedelta

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import channel_days
from meterbook.queries.meter_places import MeterPlace, meter_place, meters_of_account

SPARK_DAYS = 14


class OwnMeter(msgspec.Struct, frozen=True):
    """One meter of the list."""

    meter_id: int
    name: str | None
    region: str | None
    daily_kwh: list[float | None]
    """The last days that are over; None where nothing is known."""
    today_kwh: float | None
    """Of today so far; None: nothing is known."""


def own_meters(connection: sa.Connection, *, account_id: int, now: int) -> list[OwnMeter]:
    """Return the account's meters by number."""
    found = []
    for meter_id in dict.fromkeys(meters_of_account(connection, account_id=account_id)):
        place = meter_place(connection, meter_id=meter_id)
        if place is not None and place.account_id == account_id:
            *daily, so_far = _daily(connection, place, now=now)
            found.append(OwnMeter(meter_id, place.name, place.region, daily, so_far))
    return found


def _daily(connection: sa.Connection, place: MeterPlace, *, now: int) -> list[float | None]:
    zone = time_zone(place.zone)
    today = local_day(now, zone)
    days = channel_days(
        connection,
        channel_id=place.channel_id,
        interval_s=place.interval_s,
        first_day=today - timedelta(days=SPARK_DAYS),
        end_day=today + timedelta(days=1),
        zone=zone,
    )
    known = ([amount for amount in day.amounts if amount is not None] for day in days)
    return [wh_to_kwh(sum(amounts)) if amounts else None for amounts in known]
