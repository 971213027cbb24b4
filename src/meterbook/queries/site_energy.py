"""
The energy of a site over a period: production, import and export, and what follows from them.

Sums are of what is known. Shares (self-consumption, self-sufficiency) and the consumption are of
the five minutes in which production, import and export are all known, so that a gap of one meter
does not shift the balance; how many are left out is said. A site without a roof produces nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.counters import COUNTED_INTERVAL_S
from meterbook.domain.local_days import local_day, local_time
from meterbook.domain.periods import Period, Resolution
from meterbook.domain.site_energy import NOTHING, Balance
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.queries.channel_points import Channel
from meterbook.queries.points import by_point
from meterbook.queries.site_hosts import SiteChannels

Amounts = list[int | None]


class SitePoint(msgspec.Struct, frozen=True, gc=False):
    """The energy of one point; whole Wh, UTC epoch seconds."""

    starts_at: int
    production: int | None
    """None where nothing is known, or nothing measures it."""
    grid_import: int | None
    grid_export: int | None
    balance: Balance
    """Of the intervals in which all three are known."""
    balanced: int
    """How many these are."""
    missing: int
    """Ended intervals that are not in the balance."""


class SiteDay(msgspec.Struct, frozen=True):
    """One local day of a site by five minutes."""

    day: DayReadings
    """Whose intervals count, whatever they hold."""
    production: Amounts | None
    grid_import: Amounts | None
    grid_export: Amounts | None


class SiteShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """The energy of a site in one point, or over all of them, kWh."""

    starts_at: str
    """ISO 8601 on the site's clock."""
    production: float | None
    grid_import: float | None
    grid_export: float | None
    consumption: float | None
    self_consumption: float | None
    """(production - export) / production, 0 to 1."""
    self_sufficiency: float | None
    """(production - export) / (production - export + import), 0 to 1."""
    missing_intervals: int = 0
    """Ended five minutes in which not all three are known."""
    clear_sky: float | None = None
    """What the arrays would give under a clear sky, without losses."""


def site_days(
    connection: sa.Connection, channels: SiteChannels, *, period: Period, zone: ZoneInfo, now: int
) -> Iterator[SiteDay]:
    """Yield the days of the period with the sums of each role's channels."""
    tracks = [
        [_days(connection, channel, period=period, zone=zone, now=now) for channel in of_role]
        for of_role in (channels.production, channels.grid_import, channels.grid_export)
    ]
    while True:
        days = [[next(track, None) for track in of_role] for of_role in tracks]
        known = [day for of_role in days for day in of_role if day is not None]
        if not known:
            return
        fine = next((day for day in known if day.interval_s == COUNTED_INTERVAL_S), known[0])
        sums = [_summed(of_role, len(fine.amounts)) for of_role in days]
        yield SiteDay(fine, sums[0], sums[1], sums[2])


def site_points(
    days: Sequence[SiteDay], *, period: Period, resolution: Resolution, zone: ZoneInfo, now: int
) -> list[SitePoint]:
    """Return the points of the period, oldest first."""
    parts = (
        (key, (day, indices))
        for day in days
        for key, indices in by_point(
            day.day, period=period, now=now, resolution=resolution, zone=zone
        )
    )
    return [_point([part for _, part in group]) for _, group in groupby(parts, key=itemgetter(0))]


def shown_point(
    points: Sequence[SitePoint], *, starts_at: int, zone: ZoneInfo, clear_sky_wh: float | None
) -> SiteShown:
    """Return one or several points as one, in kWh."""
    balance = sum((point.balance for point in points), NOTHING)
    is_known = any(point.balanced for point in points)
    return SiteShown(
        local_time(starts_at, zone).isoformat(),
        _kwh([point.production for point in points]),
        _kwh([point.grid_import for point in points]),
        _kwh([point.grid_export for point in points]),
        wh_to_kwh(balance.consumption) if is_known else None,
        balance.self_consumption,
        balance.self_sufficiency,
        sum(point.missing for point in points),
        None if clear_sky_wh is None else wh_to_kwh(round(clear_sky_wh)),
    )


def _days(
    connection: sa.Connection, channel: Channel, *, period: Period, zone: ZoneInfo, now: int
) -> Iterator[DayReadings]:
    return channel_days(
        connection,
        channel_id=channel.id,
        interval_s=channel.interval_s,
        first_day=local_day(period.starts_at, zone),
        end_day=local_day(min(period.ends_at - 1, now), zone) + timedelta(days=1),
        zone=zone,
    )


def _summed(days: Sequence[DayReadings | None], count: int) -> Amounts | None:
    if not days:
        return None
    columns: list[Amounts] = [
        day.amounts if day is not None and len(day.amounts) == count else [None] * count
        for day in days
    ]
    return columns[0] if len(columns) == 1 else [_sum(row) for row in zip(*columns, strict=True)]


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _point(parts: Sequence[tuple[SiteDay, Sequence[int]]]) -> SitePoint:
    of_roles: tuple[list[int], ...] = ([], [], [])
    balance = [0, 0, 0]
    balanced = missing = 0
    for day, indices in parts:
        columns = (day.production, day.grid_import, day.grid_export)
        has_no_roof = day.production is None
        for index in indices:
            here = [None if column is None else column[index] for column in columns]
            for known, amount in zip(of_roles, here, strict=True):
                if amount is not None:
                    known.append(amount)
            if has_no_roof:  # then nothing can come from it or go to the grid
                here = [0, here[1], here[2] if day.grid_export else 0]
            if None in here:
                missing += 1
                continue
            balanced += 1
            balance = [whole + (part or 0) for whole, part in zip(balance, here, strict=True)]
    day, indices = parts[0]
    production, grid_import, grid_export = (sum(known) if known else None for known in of_roles)
    return SitePoint(
        day.day.starts_at + indices[0] * day.day.interval_s,
        production,
        grid_import,
        grid_export,
        Balance(*balance),
        balanced,
        missing,
    )


def _kwh(amounts: Sequence[int | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return wh_to_kwh(sum(known)) if known else None
