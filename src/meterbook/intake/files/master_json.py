"""
Master database JSON in, the seed's 1.4: totals by day, half-hours of the newest day.

    {"999999999": {"name": "...", "fin_no": "...",
                   "previous_day": {"00:31": 8.33}, "2025-02-11": 187.14, "2025-02-10": 158.12}}

`previous_day` holds half-hours of the newest date. Where they do not add up to its total, the
total counts: a total was made from all readings, half-hours may have been lost since.
"""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.fin import FinError, check_fin
from meterbook.domain.local_days import day_bounds
from meterbook.intake.files.json_by_meter import MeterObject
from meterbook.intake.files.recovery_json import StampLimits, stamped_energy

HALF_HOURS_MAX = 50  # of one day: the longest local days there are
TEXT_CHARACTERS_MAX = 200


class MasterMeter(msgspec.Struct, frozen=True):
    """What the file says of one meter."""

    meter_id: int
    name: str | None
    fin: str | None
    fin_fits: bool
    """False: its form or its check letter is wrong. It is taken as it is."""
    totals: dict[date, int]
    """Energy of each day, Wh."""
    half_hours: list[tuple[int, int]]
    """(starts_at, Wh) of the newest day."""


def master_meter(found: MeterObject, *, zone: ZoneInfo, limits: StampLimits) -> MasterMeter:
    """
    Return the meter of an entry.

    :raises BrokenFileError: if a key or what stands under it is wrong, or a day is not over.
    """
    fields = dict(found.fields)
    name, fin = (_text(found, fields.pop(key, None), key) for key in ("name", "fin_no"))
    previous = fields.pop("previous_day", {})
    if not isinstance(previous, dict):
        raise found.broken("must be an object", "previous_day")
    kwh_max = limits.reading_kwh_max * HALF_HOURS_MAX
    totals = {}
    for key, written in fields.items():
        day = _day(found, key)
        if day_bounds(day, zone)[1] > limits.now:
            raise found.broken("is a day that is not over", key)
        totals[day] = found.energy_wh(written, key, kwh_max=kwh_max)
    if previous and not totals:
        raise found.broken("has half-hours but no date", "previous_day")
    half_hours = (
        stamped_energy(found, previous, "previous_day", day=max(totals), zone=zone, limits=limits)
        if previous
        else []
    )
    return MasterMeter(found.meter_id, name, fin, _fits(fin), totals, half_hours)


def _text(found: MeterObject, written: object, key: str) -> str | None:
    if written is None or written == "":
        return None
    if isinstance(written, Decimal) or not isinstance(written, str):
        raise found.broken("must be text", key)
    if any("\ud800" <= character <= "\udfff" for character in written):
        raise found.broken("holds half a character", key)
    if len(written) > TEXT_CHARACTERS_MAX:
        raise found.broken(f"has more than {TEXT_CHARACTERS_MAX} characters", key)
    return written


def _day(found: MeterObject, key: str) -> date:
    try:
        day = date.fromisoformat(key)
    except ValueError:
        raise found.broken("is not name, fin_no, previous_day or a date", key) from None
    if day.isoformat() != key or day.year < 1970:  # noqa: PLR2004 the epoch
        raise found.broken("is not a date such as 2025-02-11", key)
    return day


def _fits(fin: str | None) -> bool:
    try:
        return fin is None or bool(check_fin(fin))
    except FinError:
        return False
