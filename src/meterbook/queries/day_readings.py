"""One day of one channel, reading by reading, with what each took the place of: to correct it."""

from datetime import date, timedelta

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_day, local_time, time_zone, utc_text
from meterbook.domain.readings import Quality
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.queries.meter_places import MeterPlace
from meterbook.storage.tables import superseded_readings

FIRST_DAY = date(1970, 1, 1)  # a day before it nothing is kept of


class EarlierReading(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}):
    """What does not count in an interval any more, or never did."""

    energy_kwh: float
    quality: str
    superseded_at: str
    """UTC."""


class IntervalReading(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh"}):
    """What counts in one interval."""

    starts_at: str
    """ISO 8601 on the meter's clock."""
    ends_at: str
    energy_kwh: float | None
    """None where nothing is known."""
    quality: str | None
    earlier: list[EarlierReading]
    """Oldest first."""


class DayOfReadings(msgspec.Struct, frozen=True):
    """The ended intervals of one local day."""

    meter_id: int
    day: date
    timezone: str
    readings: list[IntervalReading]


def day_readings(
    connection: sa.Connection, *, place: MeterPlace, day: date, now: int
) -> DayOfReadings:
    """Return what counts in each interval of the day that has ended, and what did before."""
    zone = time_zone(place.zone)
    readings: list[IntervalReading] = []
    if not FIRST_DAY <= day <= local_day(now, zone):
        return DayOfReadings(place.meter_id, day, place.zone, readings)
    for standing in channel_days(
        connection,
        channel_id=place.channel_id,
        interval_s=place.interval_s,
        first_day=day,
        end_day=day + timedelta(days=1),
        zone=zone,
    ):
        length_s = standing.interval_s
        earlier = _earlier(connection, place.channel_id, standing)
        for index, amount in enumerate(standing.amounts):
            starts_at = standing.starts_at + index * length_s
            if starts_at + length_s > now:
                break
            readings.append(
                IntervalReading(
                    local_time(starts_at, zone).isoformat(),
                    local_time(starts_at + length_s, zone).isoformat(),
                    None if amount is None else wh_to_kwh(amount),
                    None if amount is None else _quality(standing, index).word,
                    earlier.get(index, []),
                )
            )
    return DayOfReadings(place.meter_id, day, place.zone, readings)


def _quality(day: DayReadings, index: int) -> Quality:
    return day.quality if day.qualities is None else Quality(day.qualities[index])


def _earlier(
    connection: sa.Connection, channel_id: int, day: DayReadings
) -> dict[int, list[EarlierReading]]:
    """Return superseded readings by the interval of the day that they begin in."""
    ends_at = day.starts_at + day.interval_s * len(day.amounts)
    rows = connection.execute(
        sa.select(superseded_readings)
        .where(superseded_readings.c.channel_id == channel_id)
        .where(superseded_readings.c.starts_at >= day.starts_at)
        .where(superseded_readings.c.starts_at < ends_at)
        .order_by(superseded_readings.c.id)
    )
    found: dict[int, list[EarlierReading]] = {}
    for row in rows:
        found.setdefault((row.starts_at - day.starts_at) // day.interval_s, []).append(
            EarlierReading(
                wh_to_kwh(row.amount), Quality(row.quality).word, utc_text(row.superseded_at)
            )
        )
    return found
