"""
Local days and their intervals.

A day here is a calendar day on the clock of one meter point. It is not always 24 hours
long: when the clocks change it has 46 or 50 half-hours instead of 48 (47 or 49 on Lord Howe
Island), and in Samoa the 30th of December 2011 has none. Every other module asks this one.

                       Europe/London, 30 March 2025: 46 half-hours
    local  00:00   00:30 │ 02:00   02:30  ...  23:30   24:00
    UTC    00:00   00:30 │ 01:00   01:30  ...  22:30   23:00

Instants are UTC epoch seconds, days in storage are days since 1970-01-01.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from meterbook.domain.readings import HALF_HOUR_S

_EPOCH = date(1970, 1, 1)
_SINCE_ALL_GRIDS_STAND = 1577836800  # 2020-01-01, decades after the last zone changed its grid


class UnknownZoneError(ValueError):
    """Not an IANA time zone."""


def time_zone(name: str) -> ZoneInfo:
    """
    Return the IANA time zone of that name.

    :raises UnknownZoneError: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZoneError(f"unknown time zone: {name!r}") from error


def is_zone(name: str) -> bool:
    """Return whether there is an IANA time zone of that name."""
    try:
        time_zone(name)
    except UnknownZoneError:
        return False
    return True


def day_number(day: date) -> int:
    """Return the days since 1970-01-01, as the ledger stores a day."""
    return (day - _EPOCH).days


@lru_cache(maxsize=65_536)  # 180 years; a month of a meter asks it 31 times
def numbered_day(number: int) -> date:
    """Return the day that the ledger stores as this number."""
    return _EPOCH + timedelta(days=number)


@lru_cache(maxsize=16_384)  # 45 years of one zone; a month of a meter asks 62 times
def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the instant the local day begins, also where the clock skips midnight."""
    return int(datetime.combine(day, time(), zone).timestamp())


@lru_cache(maxsize=16_384)
def day_bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Return the half-open range of instants of the local day."""
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)


def interval_starts(day: date, zone: ZoneInfo, *, interval_s: int = HALF_HOUR_S) -> range:
    """Return the starts of the day's intervals: 46, 48 or 50 half-hours, others on odd zones."""
    begins_at, ends_at = day_bounds(day, zone)
    return range(begins_at, ends_at, interval_s)


def local_day(instant: int, zone: ZoneInfo) -> date:
    """Return the local day an instant falls on."""
    return local_time(instant, zone).date()


def local_time(instant: int, zone: ZoneInfo) -> datetime:
    """Return the instant on the local clock."""
    return datetime.fromtimestamp(instant, zone)


def utc_text(instant: int) -> str:
    """
    Return the instant as the API writes it.

    >>> utc_text(1738972800)
    '2025-02-08T00:00:00Z'
    """
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def grid_offset_s(zone: ZoneInfo, *, interval_s: int = HALF_HOUR_S) -> int:
    """
    Return where the zone's local intervals lie on the UTC grid, in seconds after it.

    0 for most of the world, 900 for +05:45 and the other quarter-hour zones. Asia/Kathmandu was
    the last to change it, in 1986, so one number serves a meter point for good.
    """
    offset = local_time(_SINCE_ALL_GRIDS_STAND, zone).utcoffset() or timedelta()
    return -int(offset.total_seconds()) % interval_s
