"""What `/user/locations/{id}/energy` answers: a site's energy, its shares, its solar figures."""

from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.domain.counters import COUNTED_INTERVAL_S
from meterbook.domain.local_days import local_time, time_zone
from meterbook.domain.periods import Period, Resolution
from meterbook.domain.solar import (
    Coordinates,
    FloatColumn,
    SolarArray,
    clear_sky_energy_wh,
    performance_ratio,
    specific_yield,
)
from meterbook.queries.host_readings import resolution_for
from meterbook.queries.site_energy import (
    SitePoint,
    SiteShown,
    shown_point,
    site_days,
    site_points,
)
from meterbook.queries.site_hosts import SiteChannels, SiteHost, site_channels
from meterbook.registry.locations import Location, location
from meterbook.registry.solar_arrays import arrays_of_location

CLEAR_SKY_DAYS_MAX = 400  # a year and a bit of five minutes takes pvlib about a second


class SolarFigures(msgspec.Struct, frozen=True):
    """How the arrays of a site did."""

    peak_kw: float = msgspec.field(name="peak_kW")
    specific_yield: float | None
    """Final yield, kWh/kWp."""
    clear_sky_energy: float | None
    """What a clear sky would have given, kWh, without losses; of intervals that have ended."""
    performance_ratio: float | None
    """Against a clear sky, over the intervals whose production is known."""
    completeness: float | None
    """The part of the clear-sky energy that fell in those."""
    refused: str | None
    """Why there is no performance ratio."""


class SiteReport(msgspec.Struct, frozen=True):
    """The energy of a site over a period."""

    location: int
    period: str
    timezone: str
    starts_at: str
    ends_at: str
    unit: str
    resolution: Resolution
    hosts: list[SiteHost]
    total: SiteShown
    solar: SolarFigures | None
    """None where the location has no solar array."""
    points: list[SiteShown]


def site_zone(connection: sa.Connection, *, location_id: int, default_zone: str) -> ZoneInfo:
    """Return the zone of a site: that of its meter points."""
    return time_zone(_zone_of(site_channels(connection, location_id=location_id)) or default_zone)


def site_report(
    connection: sa.Connection,
    *,
    location_id: int,
    period: Period,
    resolution: Resolution | None,
    default_zone: str,
    now: int,
) -> SiteReport:
    """
    Return the energy of a location's hosts over the period.

    :param resolution: None: the finest of at most a thousand points.
    :raises NotThereError: if there is no such location.
    :raises WrongFieldError: if the resolution is too fine for so long a period.
    """
    place = location(connection, location_id=location_id)
    channels = site_channels(connection, location_id=location_id)
    zone = time_zone(_zone_of(channels) or default_zone)
    chosen = resolution_for(period, resolution, interval_s=COUNTED_INTERVAL_S)
    days = list(site_days(connection, channels, period=period, zone=zone, now=now))
    points = site_points(days, period=period, resolution=chosen, zone=zone, now=now)
    arrays = _arrays(connection, location_id)
    # Without an array nobody asks for the clear sky of every five minutes.
    fine_of = Resolution.FIVE_MINUTES if arrays else chosen
    fine = site_points(days, period=period, resolution=fine_of, zone=zone, now=now)
    sky = _clear_sky(place, arrays, fine, period)
    return SiteReport(
        location_id,
        period.name,
        zone.key,
        local_time(period.starts_at, zone).isoformat(),
        local_time(period.ends_at, zone).isoformat(),
        "kWh",
        chosen,
        channels.hosts,
        shown_point(
            points,
            starts_at=period.starts_at,
            zone=zone,
            clear_sky_wh=None if sky is None else float(sky.sum()),
        ),
        _figures(arrays, points, fine, sky, place),
        [
            shown_point([point], starts_at=point.starts_at, zone=zone, clear_sky_wh=energy_wh)
            for point, energy_wh in zip(points, _sky_of(points, fine, sky), strict=True)
        ],
    )


def _arrays(connection: sa.Connection, location_id: int) -> list[SolarArray]:
    return [
        SolarArray(array.peak_w, array.tilt_deg, array.azimuth_deg)
        for array in arrays_of_location(connection, location_id=location_id)
    ]


def _zone_of(channels: SiteChannels) -> str | None:
    known = [*channels.production, *channels.grid_import, *channels.grid_export]
    return known[0].zone if known else None


def _clear_sky(
    place: Location, arrays: list[SolarArray], fine: list[SitePoint], period: Period
) -> FloatColumn | None:
    has_place = place.coord_x is not None and place.coord_y is not None
    is_short = period.ends_at - period.starts_at <= CLEAR_SKY_DAYS_MAX * 86_400
    if not (arrays and fine and has_place and is_short):
        return None
    where = Coordinates(latitude=place.coord_y or 0.0, longitude=place.coord_x or 0.0)
    if abs(where.latitude) > 90 or abs(where.longitude) > 180:  # noqa: PLR2004 the earth's
        return None
    starts = [point.starts_at for point in fine]
    return clear_sky_energy_wh(arrays, where, starts_at=starts, length_s=COUNTED_INTERVAL_S)


def _sky_of(
    points: list[SitePoint], fine: list[SitePoint], sky: FloatColumn | None
) -> list[float | None]:
    if sky is None:
        return [None] * len(points)
    ends = np.searchsorted([p.starts_at for p in fine], [p.starts_at for p in points[1:]])
    return [float(part.sum()) for part in np.split(sky, ends)]


def _figures(
    arrays: list[SolarArray],
    points: list[SitePoint],
    fine: list[SitePoint],
    sky: FloatColumn | None,
    place: Location,
) -> SolarFigures | None:
    if not arrays:
        return None
    peak_w = sum(array.peak_w for array in arrays)
    known = [point.production for point in points if point.production is not None]
    produced = sum(known)
    final_yield = specific_yield(produced, peak_w=peak_w) if known else None
    if sky is None:
        lacks = place.coord_x is None or place.coord_y is None
        reason = "the location has no coordinates" if lacks else "the period is too long or empty"
        return SolarFigures(peak_w / 1000, final_yield, None, None, None, reason)
    is_known = np.array([point.production is not None for point in fine])
    ratio = performance_ratio(
        produced,
        known_clear_sky_wh=float(sky[is_known].sum()),
        clear_sky_wh=float(sky.sum()),
    )
    return SolarFigures(
        peak_w / 1000,
        final_yield,
        round(float(sky.sum())) / 1000,
        ratio.ratio,
        ratio.completeness,
        ratio.refused,
    )
