"""
Readings of a host over a period: a counter's energy, or mean, least and greatest of the moment.

Energy comes from the counter's INTERVAL channel, never from differences of its dial: what a glitch,
a reset or an outage means was decided once, when it was recorded.
"""

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_time, time_zone
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.domain.periods import FINE_S, Period, Resolution
from meterbook.domain.readings import Counting
from meterbook.domain.units import shown, shown_unit
from meterbook.queries.channel_points import Channel, ChannelPoint, channel_points, channels_of
from meterbook.queries.points import require_few_points
from meterbook.registry.refusals import NotThereError
from meterbook.storage.tables import hosts

POINTS_AIM = 1_000  # what a browser draws at once and an eye can tell apart
POINTS_MAX = 50_000
_DAY_S = 86_400


class EnergyPoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """The energy of one point."""

    starts_at: str
    """ISO 8601 on the meter point's clock."""
    energy: float | None
    """None where nothing is known."""
    quality: str | None
    missing_intervals: int = 0


class MomentaryPoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a measurement of the moment was during one point."""

    starts_at: str
    """ISO 8601 on the meter point's clock."""
    mean: float | None
    """Of the minutes that are known; None where none is."""
    lowest: float | None
    highest: float | None
    missing_intervals: int = 0
    """Minutes without a reading."""


class EnergyReadings(msgspec.Struct, frozen=True):
    """A counter's energy over a period."""

    host: int
    measurement: str
    unit: str
    period: str
    timezone: str
    starts_at: str
    ends_at: str
    resolution: Resolution
    total: float
    """Sum of the points, exactly."""
    estimated: float
    """The part of it that was estimated."""
    missing_intervals: int
    """Ended intervals of five minutes without energy."""
    points: list[EnergyPoint]
    kind: MeasurementKind = msgspec.field(name="type", default=MeasurementKind.HISTORICAL)


class MomentaryReadings(msgspec.Struct, frozen=True):
    """A measurement of the moment over a period."""

    host: int
    measurement: str
    unit: str
    period: str
    timezone: str
    starts_at: str
    ends_at: str
    resolution: Resolution
    mean: float | None
    lowest: float | None
    highest: float | None
    missing_intervals: int
    """Ended minutes without a reading."""
    points: list[MomentaryPoint]
    kind: MeasurementKind = msgspec.field(name="type", default=MeasurementKind.CURRENT)


class HostMeasured(msgspec.Struct, frozen=True):
    """A measurement of a host with its channels."""

    host_id: int
    measurement: str
    main: Channel
    """Of energy for a counter, else of means."""
    lowest: Channel | None
    highest: Channel | None


def host_measured(connection: sa.Connection, *, host_id: int, measurement: str) -> HostMeasured:
    """
    Return the channels of a host's measurement, assigned now or earlier.

    :raises NotThereError: if it was never assigned.
    """
    point_id = connection.execute(
        sa.select(hosts.c.meter_point_id).where(hosts.c.id == host_id)
    ).scalar()
    found = (
        {}
        if point_id is None
        else channels_of(connection, meter_point_ids=[point_id], measurement=measurement)
    )
    of = {counting: channel for (_, _, counting), channel in found.items()}
    main = of.get(Counting.INTERVAL) or of.get(Counting.INSTANT)
    if main is None:
        raise NotThereError("measurement of that host")
    extremes = of.get(Counting.INSTANT_LOWEST), of.get(Counting.INSTANT_HIGHEST)
    return HostMeasured(host_id, measurement, main, *extremes)


def host_readings(
    connection: sa.Connection,
    *,
    measured: HostMeasured,
    period: Period,
    resolution: Resolution | None,
    now: int,
) -> EnergyReadings | MomentaryReadings:
    """
    Return the measurement over the period.

    :param resolution: None: the finest of at most a thousand points.
    :raises WrongFieldError: if it is too fine for so long a period.
    """
    chosen = resolution_for(period, resolution, interval_s=measured.main.interval_s)
    points = channel_points(
        connection,
        channel=measured.main,
        period=period,
        resolution=chosen,
        now=now,
        lowest=measured.lowest,
        highest=measured.highest,
    )
    if measured.main.counting is Counting.INTERVAL:
        return _energy(measured, period, chosen, points)
    return _momentary(measured, period, chosen, points)


def resolution_for(period: Period, asked: Resolution | None, *, interval_s: int) -> Resolution:
    """
    Return the resolution of an answer: as asked, but not finer than the channel's interval.

    :raises WrongFieldError: if that would be too many points.
    """
    length_s = period.ends_at - period.starts_at
    fine = [name for name, fine_s in FINE_S.items() if fine_s >= interval_s]
    if asked is None:
        short = (name for name in fine if length_s <= POINTS_AIM * FINE_S[name])
        longer = Resolution.DAY if length_s <= POINTS_AIM * _DAY_S else Resolution.MONTH
        return next(short, longer)
    if asked not in FINE_S:
        return asked
    chosen = asked if asked in fine else fine[0]
    require_few_points(period, chosen, points_max=POINTS_MAX)
    return chosen


def _energy(
    measured: HostMeasured, period: Period, resolution: Resolution, points: list[ChannelPoint]
) -> EnergyReadings:
    zone = time_zone(measured.main.zone)
    return EnergyReadings(
        measured.host_id,
        measured.measurement,
        shown_unit(measured.main.unit),
        period.name,
        zone.key,
        local_time(period.starts_at, zone).isoformat(),
        local_time(period.ends_at, zone).isoformat(),
        resolution,
        shown(sum(point.total for point in points)),
        shown(sum(point.estimated for point in points)),
        sum(point.missing for point in points),
        [
            EnergyPoint(
                local_time(point.starts_at, zone).isoformat(),
                shown(point.total) if point.known else None,
                None if point.quality is None else point.quality.word,
                point.missing,
            )
            for point in points
        ],
    )


def _momentary(
    measured: HostMeasured, period: Period, resolution: Resolution, points: list[ChannelPoint]
) -> MomentaryReadings:
    zone = time_zone(measured.main.zone)
    lows = [point.lowest for point in points if point.lowest is not None]
    highs = [point.highest for point in points if point.highest is not None]
    known = sum(point.known for point in points)
    return MomentaryReadings(
        measured.host_id,
        measured.measurement,
        shown_unit(measured.main.unit),
        period.name,
        zone.key,
        local_time(period.starts_at, zone).isoformat(),
        local_time(period.ends_at, zone).isoformat(),
        resolution,
        _mean(sum(point.total for point in points), known),
        _shown(min(lows, default=None)),
        _shown(max(highs, default=None)),
        sum(point.missing for point in points),
        [
            MomentaryPoint(
                local_time(point.starts_at, zone).isoformat(),
                _mean(point.total, point.known),
                _shown(point.lowest),
                _shown(point.highest),
                point.missing,
            )
            for point in points
        ],
    )


def _mean(total: int, known: int) -> float | None:
    return shown(round(total / known)) if known else None


def _shown(amount: int | None) -> float | None:
    return None if amount is None else shown(amount)
