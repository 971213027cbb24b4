"""
A real solar home, replayed through counters: the figures are those of the file.

Ausgrid's customer 12 measures load and gross PV every half hour, in mean kW of standard time; the
grid's two counters follow from them. Read every minute, through both books, across clock changes.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from meterbook.day_close import close_day
from meterbook.domain.local_days import day_bounds
from meterbook.domain.periods import Resolution, free_period
from meterbook.intake.host_recorder import HostRecorder
from meterbook.queries.site_report import SiteReport, site_report
from meterbook.registry.host_traits import change_host_traits
from meterbook.registry.locations import change_location
from meterbook.registry.solar_arrays import add_array
from meterbook.storage.database import Database
from polled import EXPORTED, IMPORTED, home, poll

SYDNEY = ZoneInfo("Australia/Sydney")
STANDARD = timezone(timedelta(hours=10))
HALF_HOUR_S = 1800
Powers = Mapping[int, tuple[float, float]]
"""By half hour: load and PV in kW."""


@pytest.fixture(scope="module")
def powers(shared_data: Path) -> Powers:
    """Give the file."""
    with (shared_data / "ausgrid_customer12" / "data_2011-2012.csv").open() as lines:
        return {
            int(datetime.fromisoformat(row[""]).replace(tzinfo=STANDARD).timestamp()): (
                float(row["GC"]),
                float(row["GG"]),
            )
            for row in csv.DictReader(lines)
        }


def figures_of_file(powers: Powers, starts_at: int, ends_at: int) -> dict[str, float]:
    """Return the energies in kWh, and the shares, computed from the file alone."""
    here = [powers[start] for start in range(starts_at, ends_at, HALF_HOUR_S)]
    production = sum(pv for _, pv in here) / 2
    grid_import = sum(max(load - pv, 0) for load, pv in here) / 2
    grid_export = sum(max(pv - load, 0) for load, pv in here) / 2
    used = production - grid_export
    return {
        "production": production,
        "grid_import": grid_import,
        "grid_export": grid_export,
        "consumption": sum(load for load, _ in here) / 2,
        "self_consumption": used / production,
        "self_sufficiency": used / (used + grid_import),
    }


def dials(powers: Powers, starts_at: int, ends_at: int) -> Iterator[tuple[int, list[int]]]:
    """Yield what the counters show each minute, in Wh, as a float32 of kWh holds it."""
    kwh = [12_345.6, 4_321.0, 8_000.25]  # import, export, PV
    for start in range(starts_at, ends_at + 60, 60):
        yield start, [round(float(np.float32(shown)) * 1000) for shown in kwh]
        load, pv = powers[start // HALF_HOUR_S * HALF_HOUR_S]
        for index, power in enumerate((max(load - pv, 0), max(pv - load, 0), pv)):
            kwh[index] += power / 60


def replay(database: Database, powers: Powers, first: date, end: date) -> int:
    """Read the home from midnight to midnight, with an hour more on both sides."""
    solar_home = home(database, models=["sdm630", "sdm120"], zone=SYDNEY.key)
    grid, roof = solar_home.hosts
    # The meter of the inverter counts its own use at night too: only people know what it is for.
    with database.writing() as connection:
        role = {"site_role": "production"}
        change_host_traits(connection, host_id=roof, changes=role, by=None, now=0)
    recorder = HostRecorder(database)
    begins_at, ends_at = day_bounds(first, SYDNEY)[0], day_bounds(end, SYDNEY)[0]
    polls = []
    for at, (imported, exported, produced) in dials(powers, begins_at - 3600, ends_at + 3600):
        polls.append(poll(grid, at + 7.3, {IMPORTED: imported, EXPORTED: exported}))
        polls.append(poll(roof, at + 21.8, {EXPORTED: produced, IMPORTED: 5}))
    for begin in range(0, len(polls), 1_000):
        recorder.record(polls[begin : begin + 1_000])
    return solar_home.location_id


def report(
    database: Database, location_id: int, first: date, end: date, resolution: Resolution
) -> SiteReport:
    with database.reading() as connection:
        return site_report(
            connection,
            location_id=location_id,
            period=free_period(first, end, zone=SYDNEY),
            resolution=resolution,
            default_zone="UTC",
            now=day_bounds(end, SYDNEY)[1],
        )


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2011, 10, 2), 23), (date(2012, 4, 1), 25), (date(2011, 12, 24), 24)],
    ids=["spring forward", "fall back", "an ordinary day"],
)
def test_a_real_solar_home_has_the_figures_of_its_file(
    database: Database, powers: Powers, day: date, hours: int
) -> None:
    end = day + timedelta(days=1)
    location_id = replay(database, powers, day, end)
    expected = figures_of_file(powers, *day_bounds(day, SYDNEY))
    answers = []
    for closed in (False, True):
        if closed:
            close_day(database, day=day, zone=SYDNEY, now=day_bounds(end, SYDNEY)[1])
        for resolution in (Resolution.DAY, Resolution.HOUR, Resolution.FIVE_MINUTES):
            answer = report(database, location_id, day, end, resolution)
            for name, true in expected.items():
                assert getattr(answer.total, name) == pytest.approx(true, rel=0.001), name
            assert answer.total.missing_intervals == 0
            answers.append(answer)
    assert [len(answer.points) for answer in answers[:3]] == [1, hours, hours * 12]
    assert answers[:3] == answers[3:], "open and closed days answer alike"
    for answer in answers:
        for name in ("production", "grid_import", "grid_export"):
            parts = sum(round((getattr(point, name) or 0) * 1000) for point in answer.points)
            assert parts == round(getattr(answer.total, name) * 1000)


def test_solar_figures_of_a_real_summer_day(database: Database, powers: Powers) -> None:
    day = date(2011, 12, 24)
    end = day + timedelta(days=1)
    location_id = replay(database, powers, day, end)
    with database.writing() as connection:
        fields = {"name": "roof", "peak_W": 1_040, "tilt_deg": 20.0, "azimuth_deg": 0.0}
        add_array(connection, location_id=location_id, fields=fields, by=None, now=0)
    without = report(database, location_id, day, end, Resolution.HOUR).solar
    assert without is not None
    assert without.refused == "the location has no coordinates"
    with database.writing() as connection:
        sydney = {"coord_x": 151.2, "coord_y": -33.87}
        change_location(connection, location_id=location_id, changes=sydney, by=None, now=0)
    answer = report(database, location_id, day, end, Resolution.HOUR)
    solar = answer.solar
    assert solar is not None
    expected = figures_of_file(powers, *day_bounds(day, SYDNEY))
    assert solar.specific_yield == pytest.approx(expected["production"] / 1.04, rel=0.001)
    assert solar.clear_sky_energy is not None
    assert expected["production"] < solar.clear_sky_energy < 1.04 * 9
    assert solar.performance_ratio == pytest.approx(
        expected["production"] / solar.clear_sky_energy, rel=0.001
    )
    assert solar.completeness == 1
    skies = [point.clear_sky or 0 for point in answer.points]
    assert sum(skies) == pytest.approx(solar.clear_sky_energy, abs=0.02)
    assert max(skies) == skies[12]  # the sun is highest about 13:00 summer time
    assert skies[0] == skies[23] == 0
