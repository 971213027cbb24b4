"""
Recovery JSON in: `{"999999999": {"00:31": 4.5, ...}}`, one day, stamps on each meter's clock.

The day is in the file's name, or given. "00:01" is the last half hour of that day; in autumn the
later of two stamps alike has its UTC offset (see `domain.packet_stamps`).
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.local_days import interval_starts
from meterbook.domain.packet_stamps import day_stamps
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.json_by_meter import MeterObject

AHEAD_S_MAX = 300
_NAME = re.compile(r"recovery-([0-9]{4}-[0-9]{2}-[0-9]{2})\.json", re.ASCII)


class StampLimits(msgspec.Struct, frozen=True):
    """What a stamp and its energy may be."""

    now: int
    """UTC epoch seconds; no half hour may lie later."""
    reading_kwh_max: Decimal = Decimal(1000)


def recovery_day(path: Path) -> date:
    """
    Return the day that the file's name says.

    :raises BrokenFileError: if it says none.
    """
    written = _NAME.fullmatch(path.name)
    try:
        return date.fromisoformat(written[1] if written else "")
    except ValueError:
        reason = "its name is not recovery-YYYY-MM-DD.json: name it so, or say its day"
        raise BrokenFileError(path, reason) from None


def stamped_energy(
    meter: MeterObject,
    stamped: Mapping[str, object],
    *keys: str,
    day: date,
    zone: ZoneInfo,
    limits: StampLimits,
) -> list[tuple[int, int]]:
    """
    Return the start and the energy in Wh of each stamp.

    :param keys: under which the stamps stand in the meter's object.
    :raises BrokenFileError: if a stamp or an energy is wrong.
    """
    starts = _starts_of_stamps(day, zone)
    found = []
    for stamp, written in stamped.items():
        starts_at = starts.get(stamp)
        if starts_at is None:
            raise meter.broken(f"{day} has no packet with that stamp", *keys, stamp)
        if starts_at > limits.now + AHEAD_S_MAX:
            raise meter.broken("is in the future", *keys, stamp)
        amount = meter.energy_wh(written, *keys, stamp, kwh_max=limits.reading_kwh_max)
        found.append((starts_at, amount))
    return found


@lru_cache(maxsize=256)
def _starts_of_stamps(day: date, zone: ZoneInfo) -> dict[str, int]:
    return dict(zip(day_stamps(day, zone), interval_starts(day, zone), strict=True))
