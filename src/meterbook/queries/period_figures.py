"""
What a household asks of a period besides its total: base load, peak, average day, and the change.

The same days as the total are summed, so none of them can disagree with it. A figure that cannot
be told (nothing known, no whole day) is null, never 0.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.local_days import local_time
from meterbook.domain.period_steps import same_time_in
from meterbook.domain.periods import Period
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings
from meterbook.queries.points import ended_intervals

_DAY_S = 86_400
_WHOLE_SHARE_MIN = 46 / 48  # meters that send 47 packets a day have whole days too
_COMPARABLE_SHARE_MIN = 0.9  # more missing than that, and a change says nothing about the home
_KNOWN_SHARE_MIN = 0.75  # a day's lowest half hour means little when a quarter of them is missing


class Peak(msgspec.Struct, frozen=True, rename={"energy_kwh": "kWh", "average_kw": "average_kW"}):
    """The interval in which most was used; the first of several."""

    starts_at: str
    ends_at: str
    energy_kwh: float
    average_kw: float
    """The interval's mean power."""


class Before(msgspec.Struct, frozen=True, rename={"total_kwh": "total_kWh"}):
    """The period before, as far into it as this one has come."""

    starts_at: str
    ends_at: str
    """Where this period's last reading would lie in the one before."""
    total_kwh: float
    missing_intervals: int
    change: float | None
    """This total over that one, less one; None where one of them is not known well enough."""


class PeriodFigures(
    msgspec.Struct,
    frozen=True,
    rename={"average_day_kwh": "average_day_kWh", "base_load_w": "base_load_W"},
):
    """The answer to `/profile/{meterId}/consumption/figures`."""

    meter_id: int
    period: str
    starts_at: str
    ends_at: str
    known_intervals: int
    missing_intervals: int
    average_day_kwh: float | None
    """Mean of the days of which hardly anything is missing: an hour at most."""
    whole_days: int
    """How many those are."""
    base_load_w: int | None
    """What is always on: the median of the days' lowest intervals, as mean power, W."""
    peak: Peak | None
    before: Before | None


class Counted(msgspec.Struct, frozen=True, gc=False):
    """One day's part of a period."""

    starts_at: int
    """Of the day."""
    interval_s: int
    first: int
    """Index of the first interval that counts."""
    amounts: list[int | None]
    """Of the intervals that count."""
    known: list[int]
    """Those of them that are known."""
    is_whole: bool
    """Whether the day is over and hardly anything of it is missing."""


def counted_days(days: Iterable[DayReadings], *, period: Period, now: int) -> list[Counted]:
    """Return the parts of the days that lie in the period and have ended."""
    counted = []
    for day in days:
        indices = ended_intervals(day, period=period, now=now)
        if indices:
            is_over = len(indices) == len(day.amounts)
            amounts = day.amounts if is_over else [day.amounts[i] for i in indices]
            known = [amount for amount in amounts if amount is not None]
            whole = is_over and len(known) >= len(amounts) * _WHOLE_SHARE_MIN
            first = indices[0]
            counted.append(Counted(day.starts_at, day.interval_s, first, amounts, known, whole))
    return counted


def period_figures(
    counted: Sequence[Counted],
    earlier_days: Sequence[DayReadings],
    *,
    meter_id: int,
    period: Period,
    earlier: Period | None,
    zone: ZoneInfo,
) -> PeriodFigures:
    """
    Return the figures of a period.

    :param counted: its days.
    :param earlier_days: the days of the period before.
    :param earlier: the period before; None: there is none.
    """
    whole = [sum(day.known) for day in counted if day.is_whole]
    missing = _missing(counted)
    before = None
    if earlier is not None:
        before = _before(counted, earlier_days, period=period, earlier=earlier, zone=zone)
    return PeriodFigures(
        meter_id=meter_id,
        period=period.name,
        starts_at=_text(period.starts_at, zone),
        ends_at=_text(period.ends_at, zone),
        known_intervals=sum(len(day.amounts) for day in counted) - missing,
        missing_intervals=missing,
        average_day_kwh=wh_to_kwh(round(sum(whole) / len(whole))) if whole else None,
        whole_days=len(whole),
        base_load_w=_base_load_w(counted),
        peak=_peak(counted, zone=zone),
        before=before,
    )


def last_known_end(counted: Sequence[Counted]) -> int | None:
    """Return when the last interval that is known ended; None if none is."""
    for day in reversed(counted):
        for index in range(len(day.amounts) - 1, -1, -1):
            if day.amounts[index] is not None:
                return day.starts_at + (day.first + index + 1) * day.interval_s
    return None


def _missing(counted: Sequence[Counted]) -> int:
    return sum(len(day.amounts) - len(day.known) for day in counted)


def _is_comparable(counted: Sequence[Counted], *, until: int) -> bool:
    ended = sum(
        min(len(day.amounts), max((until - day.starts_at) // day.interval_s - day.first, 0))
        for day in counted
    )
    return sum(len(day.known) for day in counted) >= ended * _COMPARABLE_SHARE_MIN


def _base_load_w(counted: Sequence[Counted]) -> int | None:
    lowest = []
    for day in counted:
        slots = _DAY_S // day.interval_s
        if day.interval_s < _DAY_S and len(day.known) >= slots * _KNOWN_SHARE_MIN:
            lowest.append(min(day.known) * 3600 / day.interval_s)
    return round(median(lowest)) if lowest else None


def _peak(counted: Sequence[Counted], *, zone: ZoneInfo) -> Peak | None:
    highest = (-1, 0, 0)
    for day in counted:
        if day.interval_s >= _DAY_S:
            continue
        most = max(day.known, default=-1)
        if most > highest[0]:
            starts_at = day.starts_at + (day.first + day.amounts.index(most)) * day.interval_s
            highest = (most, starts_at, day.interval_s)
    energy_wh, starts_at, interval_s = highest
    if energy_wh < 0:
        return None
    return Peak(
        starts_at=_text(starts_at, zone),
        ends_at=_text(starts_at + interval_s, zone),
        energy_kwh=wh_to_kwh(energy_wh),
        average_kw=wh_to_kwh(round(energy_wh * 3600 / interval_s)),
    )


def _before(
    counted: Sequence[Counted],
    earlier_days: Sequence[DayReadings],
    *,
    period: Period,
    earlier: Period,
    zone: ZoneInfo,
) -> Before | None:
    until = last_known_end(counted)
    if until is None:
        return None
    cut = same_time_in(earlier, of=period, instant=until, zone=zone)
    part = msgspec.structs.replace(earlier, ends_at=cut)
    compared = counted_days(earlier_days, period=part, now=cut)
    energy_wh = sum(sum(day.known) for day in compared)
    missing = _missing(compared)
    total_wh = sum(sum(day.known) for day in counted)
    comparable = (
        energy_wh and _is_comparable(compared, until=cut) and _is_comparable(counted, until=until)
    )
    return Before(
        starts_at=_text(earlier.starts_at, zone),
        ends_at=_text(cut, zone),
        total_kwh=wh_to_kwh(energy_wh),
        missing_intervals=missing,
        change=round(total_wh / energy_wh - 1, 4) if comparable else None,
    )


def _text(instant: int, zone: ZoneInfo) -> str:
    return local_time(instant, zone).isoformat()
