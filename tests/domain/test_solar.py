"""Solar figures: against FAO's textbook clear sky, and refused where too little is known."""

from math import acos, cos, pi, radians, sin, tan

import pytest

from meterbook.domain.solar import (
    Coordinates,
    SolarArray,
    clear_sky_energy_wh,
    performance_ratio,
    specific_yield,
)

DAY_S = 86_400
SOLSTICE_2025 = 1_750_464_000  # 21 June


def fao_clear_sky_kwh(latitude: float, day_of_year: int) -> float:
    """
    Return the clear-sky radiation of a day on a level square metre, at sea level.

    R. G. Allen et al., Crop evapotranspiration, FAO Irrigation and Drainage Paper 56 (1998),
    equations 21 to 25 and 37.
    """
    phi = radians(latitude)
    distance = 1 + 0.033 * cos(2 * pi / 365 * day_of_year)
    declination = 0.409 * sin(2 * pi / 365 * day_of_year - 1.39)
    sunset = acos(max(-1.0, min(1.0, -tan(phi) * tan(declination))))
    beam = sunset * sin(phi) * sin(declination) + cos(phi) * cos(declination) * sin(sunset)
    extraterrestrial_mj = 24 * 60 / pi * 0.0820 * distance * beam
    return 0.75 * extraterrestrial_mj / 3.6


def day_kwh(array: SolarArray, place: Coordinates, first: int) -> float:
    starts = range(first, first + DAY_S, 300)
    return float(clear_sky_energy_wh([array], place, starts_at=starts, length_s=300).sum()) / 1000


@pytest.mark.parametrize("latitude", [-33.9, 0.0, 1.35, 40.0, 52.2])
@pytest.mark.parametrize("days_on", [0, 91, 183, 274])
def test_a_level_array_gets_what_the_textbook_says(latitude: float, days_on: int) -> None:
    level = SolarArray(peak_w=1_000, tilt_deg=0, azimuth_deg=180)
    place = Coordinates(latitude, 0.0)
    given = day_kwh(level, place, SOLSTICE_2025 + days_on * DAY_S)
    expected = fao_clear_sky_kwh(latitude, (172 + days_on - 1) % 365 + 1)
    # FAO's one transmissivity is too high where the sun is low and its way through haze is long.
    assert 0.6 < given / expected < 1.1
    if expected > 6:
        assert given == pytest.approx(expected, rel=0.15)


def test_a_roof_that_faces_the_sun_gets_more_in_winter_than_one_that_does_not() -> None:
    london, winter = Coordinates(51.5, -0.1), SOLSTICE_2025 + 183 * DAY_S
    south = day_kwh(SolarArray(1_000, 35, 180), london, winter)
    level = day_kwh(SolarArray(1_000, 0, 180), london, winter)
    north = day_kwh(SolarArray(1_000, 35, 0), london, winter)
    assert south > 1.8 * level > 1.8 * north > 0


def test_arrays_add_up_and_the_night_gives_nothing() -> None:
    place, starts = Coordinates(51.5, 0.0), range(SOLSTICE_2025, SOLSTICE_2025 + DAY_S, 1800)
    east, west = SolarArray(3_000, 30, 90), SolarArray(2_000, 30, 270)
    both = clear_sky_energy_wh([east, west], place, starts_at=starts, length_s=1800)
    parts = [
        clear_sky_energy_wh([array], place, starts_at=starts, length_s=1800)
        for array in (east, west)
    ]
    assert both == pytest.approx(parts[0] + parts[1])
    assert both[0] == 0
    assert both[24] > 1_000


def test_yields_and_the_ratio_are_those_of_the_standard() -> None:
    assert specific_yield(4_160, peak_w=1_040) == 4.0
    assert specific_yield(4_160, peak_w=0) is None
    ratio = performance_ratio(4_000, known_clear_sky_wh=5_000, clear_sky_wh=5_000)
    assert (ratio.ratio, ratio.completeness, ratio.refused) == (0.8, 1.0, None)


@pytest.mark.parametrize(
    ("known", "whole", "reason"),
    [(4_000, 5_000, "only 80%"), (0, 5_000, "only 0%"), (0, 0, "the sun did not shine")],
)
def test_a_ratio_of_too_little_is_refused_with_a_reason(
    known: float, whole: float, reason: str
) -> None:
    ratio = performance_ratio(3_000, known_clear_sky_wh=known, clear_sky_wh=whole)
    assert ratio.ratio is None
    assert ratio.refused is not None
    assert ratio.refused.startswith(reason)
