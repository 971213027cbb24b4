"""
How high the sun stands, and what of it reaches the ground on a clear day.

Good to a quarter of a degree, which is plenty for a virtual roof.
"""

from math import asin, cos, exp, pi, radians, sin

_J2000_S = 946_728_000  # 2000-01-01 12:00 UTC
_DAY_S = 86_400


def sine_of_elevation(at_s: float, *, latitude: float, longitude: float) -> float:
    """
    Return the sine of the sun's elevation, -1 to 1.

    :param at_s: UTC epoch seconds.
    :param latitude: degrees, north positive.
    :param longitude: degrees, east positive.

    Source: low-precision formulas of the Astronomical Almanac, page C5.
    """
    days = (at_s - _J2000_S) / _DAY_S
    mean_longitude = 280.460 + 0.985_647_4 * days
    anomaly = radians(357.528 + 0.985_600_3 * days)
    ecliptic = radians(mean_longitude + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 0.000_000_4 * days)
    declination = asin(sin(obliquity) * sin(ecliptic))
    # Equation of time: mean longitude minus right ascension, degrees.
    time_equation = -1.915 * sin(anomaly) - 0.020 * sin(2 * anomaly) + 2.466 * sin(2 * ecliptic)
    day_share = at_s % _DAY_S / _DAY_S
    hour_angle = 2 * pi * (day_share - 0.5) + radians(longitude + time_equation)
    at = radians(latitude)
    return sin(at) * sin(declination) + cos(at) * cos(declination) * cos(hour_angle)


def clear_sky_w_per_m2(sine: float) -> float:
    """
    Return the global irradiance on a level plane under a clear sky, W/m².

    :param sine: of the sun's elevation.

    Source: B. Haurwitz, Insolation in Relation to Cloudiness and Cloud Density, 1945.
    """
    return 1098 * sine * exp(-0.057 / sine) if sine > 0 else 0.0
