"""Virtual homes: a sun that rises, counters that are the integral of power, the same every time."""

from fractions import Fraction
from math import asin, degrees

import pandas as pd
import pytest
from pvlib.solarposition import get_solarposition

from meterbook.simulate.modbus.homes import ReplayedHome, SunnyHome
from meterbook.simulate.modbus.quantities import Measured
from meterbook.simulate.modbus.sun import clear_sky_w_per_m2, sine_of_elevation

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
JUNE_MS = 1_750_464_000_000  # 2025-06-21 00:00 UTC, the longest day
DECEMBER_MS = 1_766_275_200_000


@pytest.mark.parametrize(
    ("latitude", "longitude", "at"),
    [
        (51.5, 0.0, "2025-06-21 12:00"),
        (51.5, 0.0, "2025-12-21 09:30"),
        (-33.87, 151.21, "2025-06-21 02:00"),
        (1.35, 103.8, "2025-03-20 05:00"),
    ],
)
def test_the_sun_stands_where_astronomers_say(latitude: float, longitude: float, at: str) -> None:
    when = pd.DatetimeIndex([pd.Timestamp(at, tz="UTC")])
    told = get_solarposition(when, latitude, longitude)["elevation"].iloc[0]
    found = sine_of_elevation(when[0].timestamp(), latitude=latitude, longitude=longitude)
    assert degrees(asin(found)) == pytest.approx(told, abs=0.3)


def test_a_clear_sky_gives_nothing_by_night_and_about_a_kilowatt_at_most() -> None:
    assert clear_sky_w_per_m2(-0.2) == 0
    assert clear_sky_w_per_m2(0.0) == 0
    assert 950 < clear_sky_w_per_m2(1.0) < 1_100


def test_summer_days_give_more_than_winter_days_and_nights_nothing() -> None:
    home = SunnyHome(seed=1)
    produced = []
    for day in (JUNE_MS, DECEMBER_MS):
        measured = Measured(home, now_ms=day)
        measured.advance(day + DAY_MS)
        produced.append(measured.counted.produced)
    assert produced[0] > 3 * produced[1] > 0
    midnight = Measured(home, now_ms=JUNE_MS)
    assert midnight.flowing.pv_w == 0
    assert midnight.flowing.load_w > 50


def test_looking_more_often_changes_no_counter() -> None:
    often, once = (Measured(SunnyHome(seed=9), now_ms=JUNE_MS) for _ in range(2))
    for at_ms in range(JUNE_MS, JUNE_MS + 6 * HOUR_MS, 77_777):
        often.advance(at_ms)
    often.advance(JUNE_MS + 6 * HOUR_MS)
    once.advance(JUNE_MS + 6 * HOUR_MS)
    assert often.counted == once.counted
    counted = once.counted
    assert counted.used == counted.imported + counted.produced - counted.exported


def test_a_replayed_profile_is_counted_to_the_watt_second() -> None:
    profile = [(0, 1_000, 0), (1_800_000, 400, 2_400), (3_600_000, 500, 0)]
    measured = Measured(ReplayedHome(profile), now_ms=0)
    measured.advance(3_600_000)
    assert measured.quantity("active_energy_consumed", is_inverter=False) == 500
    assert measured.quantity("active_energy_produced", is_inverter=False) == 1_000
    assert measured.quantity("active_energy_produced", is_inverter=True) == 1_200
    measured.advance(7_200_000)
    assert measured.quantity("active_energy_consumed", is_inverter=False) == 1_000


def test_phases_and_currents_fit_the_power() -> None:
    measured = Measured(SunnyHome(seed=2), now_ms=JUNE_MS + 3 * HOUR_MS)
    measured.advance(JUNE_MS + 4 * HOUR_MS)

    def of(name: str) -> Fraction | float:
        return measured.quantity(name, is_inverter=False)

    for name in ("active_power", "active_energy_consumed", "reactive_power"):
        phases = sum(of(f"{name}_l{phase}") for phase in (1, 2, 3))
        assert phases == pytest.approx(float(of(name)))
    apparent = of("voltage_ac") * of("current")
    assert apparent == pytest.approx(float(of("apparent_power")))
    assert apparent * of("power_factor") == pytest.approx(abs(float(of("active_power"))))
