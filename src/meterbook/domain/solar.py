"""
What a clear sky would give a photovoltaic array, and how what it gave compares.

Figures and names are those of IEC 61724-1:2021 (Photovoltaic system performance, Part 1). The sun's
place and the clear sky come from pvlib, which takes a second to import: only who asks pays for it.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

STANDARD_IRRADIANCE_W_M2 = 1000  # G_i,ref of IEC 61724-1: standard test conditions
COMPLETENESS_MIN = 0.9  # of the clear-sky energy; below it a ratio says more about the gaps
FloatColumn = npt.NDArray[np.float64]


class SolarArray(msgspec.Struct, frozen=True):
    """Modules that face one way."""

    peak_w: int
    """P_0: rated power at standard test conditions, W."""
    tilt_deg: float
    """0 flat, 90 upright."""
    azimuth_deg: float
    """0 north, 90 east, 180 south, 270 west."""


class Coordinates(msgspec.Struct, frozen=True):
    """A place on earth, in degrees."""

    latitude: float
    """North is positive."""
    longitude: float
    """East is positive."""


def clear_sky_energy_wh(
    arrays: Sequence[SolarArray], place: Coordinates, *, starts_at: Sequence[int], length_s: int
) -> FloatColumn:
    """
    Return what the arrays would give under a clear sky in each interval, in Wh, without losses.

        E = P_0 x H_i / G_i,ref

    that is their rated power for the reference yield of IEC 61724-1:2021, 10.3.2. The irradiance is
    the Ineichen-Perez clear sky with monthly Linke turbidity, brought into the arrays' plane by the
    Hay-Davies model; albedo 0.25.

    :param starts_at: UTC epoch seconds, shape (n,).
    :returns: shape (n,).
    """
    import pandas as pd  # noqa: PLC0415 a second that only solar questions pay
    import pvlib  # noqa: PLC0415

    middles = np.asarray(starts_at, dtype=np.int64) + length_s // 2
    times = pd.DatetimeIndex(pd.to_datetime(middles, unit="s", utc=True))
    location = pvlib.location.Location(place.latitude, place.longitude)
    sun = location.get_solarposition(times)
    sky = location.get_clearsky(times, model="ineichen", solar_position=sun)
    extra = pvlib.irradiance.get_extra_radiation(times)
    energy_wh = np.zeros(len(middles))
    for array in arrays:
        plane = pvlib.irradiance.get_total_irradiance(
            array.tilt_deg,
            array.azimuth_deg,
            sun["apparent_zenith"],
            sun["azimuth"],
            sky["dni"],
            sky["ghi"],
            sky["dhi"],
            dni_extra=extra,
            model="haydavies",
        )
        irradiance = np.nan_to_num(plane["poa_global"].to_numpy(), nan=0.0).clip(min=0)
        energy_wh += array.peak_w * irradiance / STANDARD_IRRADIANCE_W_M2 * length_s / 3600
    return energy_wh


def specific_yield(energy_wh: int, *, peak_w: int) -> float | None:
    """
    Return the final yield in kWh/kWp; None without modules.

        Y_f = E_out / P_0      IEC 61724-1:2021, 10.3.3
    """
    return energy_wh / peak_w if peak_w else None


class PerformanceRatio(msgspec.Struct, frozen=True):
    """How much of what the sky offered came out, or why that is not said."""

    ratio: float | None
    completeness: float
    """The part of the clear-sky energy that fell in intervals whose production is known."""
    refused: str | None = None
    """Why there is no ratio."""


def performance_ratio(
    energy_wh: int, *, known_clear_sky_wh: float, clear_sky_wh: float
) -> PerformanceRatio:
    """
    Return the performance ratio against a clear sky.

        PR = Y_f / Y_r = (E_out / P_0) / (H_i / G_i,ref)      IEC 61724-1:2021, 10.4.1

    Both yields are over the same intervals: those whose production is known. With no sensor in the
    plane H_i is that of a clear sky: clouds lower this ratio, a fair day shows the system.

    :param energy_wh: produced in the known intervals.
    :param known_clear_sky_wh: `clear_sky_energy_wh` of those.
    :param clear_sky_wh: the same of all intervals that have ended.
    """
    if clear_sky_wh <= 0:
        return PerformanceRatio(None, 0.0, "the sun did not shine on the array in this period")
    completeness = known_clear_sky_wh / clear_sky_wh
    if completeness < COMPLETENESS_MIN:
        reason = f"only {completeness:.0%} of the daylight is known, {COMPLETENESS_MIN:.0%} needed"
        return PerformanceRatio(None, completeness, reason)
    return PerformanceRatio(energy_wh / known_clear_sky_wh, completeness)
