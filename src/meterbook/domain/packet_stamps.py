"""
The stamps by which the seed's JSON files name the half-hours of a day: "00:31" to "23:31".

A stamp is local time, one minute after the half hour it stands for; the last half hour of a day
is "00:01". In autumn the clock shows some stamps twice: the later one has its UTC offset added,
"01:31+00:00", so that no reading of a file can take another one's place.
"""

from collections.abc import Iterable
from datetime import date
from zoneinfo import ZoneInfo

from meterbook.domain.local_days import interval_starts, local_time
from meterbook.domain.readings import HALF_HOUR_S

_AFTER_S = HALF_HOUR_S + 60


class UnknownStampError(ValueError):
    """A stamp that the day does not have."""


def day_stamps(day: date, zone: ZoneInfo) -> list[str]:
    """
    Return the stamps of the day's half-hours in order of time, each once.

    >>> day_stamps(date(2025, 2, 8), ZoneInfo("UTC"))[:2]
    ['00:31', '01:01']
    """
    stamps: dict[str, None] = {}
    for starts_at in interval_starts(day, zone):
        local = local_time(starts_at + _AFTER_S, zone)
        text = f"{local:%H:%M}"
        if text in stamps:
            offset = local.strftime("%z")
            text = f"{text}{offset[:3]}:{offset[3:5]}"
        stamps[text] = None
    return list(stamps)


def slots_of_stamps(written: Iterable[str], *, day: date, zone: ZoneInfo) -> list[int]:
    """
    Return the index of each stamp's half hour in its day.

    :raises UnknownStampError: if the day has no such stamp.
    """
    known = {stamp: index for index, stamp in enumerate(day_stamps(day, zone))}
    slots = []
    for stamp in written:
        if stamp not in known:
            raise UnknownStampError(f"{day} in {zone.key} has no packet stamped {stamp!r}")
        slots.append(known[stamp])
    return slots
