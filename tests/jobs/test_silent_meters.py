"""Silent meters: found in the books, also just after a close, and heard again when they speak."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.jobs import silent_meters as silent_meters_job
from meterbook.jobs.pace import unhurried
from meterbook.jobs.region_meters import count_region_meters
from meterbook.jobs.regions import RegionUpkeep
from meterbook.jobs.silent_meters import find_silent_meters
from meterbook.queries.fleet_standing import (
    SilentMeter,
    meters_of_region,
    region_standings,
    silent_meters,
)
from meterbook.registry.meter_points import change_meter_point
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import installations

DAY, UTC = date(2025, 2, 8), ZoneInfo("UTC")
STARTS = interval_starts(DAY, UTC)
MIDNIGHT = STARTS[0]
NEXT = MIDNIGHT + 86_400
REGIONS = {1: "north", 2: "north", 3: "south", 4: "south"}


def silent(database: Database, now: int) -> dict[int, str | None]:
    find_silent_meters(database, silent_intervals=4, now=now, pace=unhurried())
    with database.reading() as connection:
        return {m.meter_id: m.last_starts_at for m in silent_meters(connection, limit=100)}


def speak(database: Database, meter: int, *slots: int) -> None:
    record_packets(database, [Packet(meter, MIDNIGHT + 1800 * s + 1860, 5) for s in slots])


def test_a_meter_is_silent_after_four_half_hours_and_heard_with_its_next_packet(
    database: Database,
) -> None:
    with database.writing() as connection:
        add_meters(connection, [1, 2, 3], zone="UTC", now=0, regions=REGIONS)
    speak(database, 1, *range(12))
    speak(database, 2, *range(6))
    six = MIDNIGHT + 12 * 1800 + 120
    assert silent(database, six) == {2: "2025-02-08T02:30:00Z", 3: None}
    speak(database, 2, 11)
    assert silent(database, six) == {3: None}
    with database.reading() as connection:
        assert silent_meters(connection, region="north", limit=10) == []
        assert silent_meters(connection, region="south", limit=10) == [
            SilentMeter(3, "south", None)
        ]


@pytest.mark.parametrize("part", [1, 2, 3])
def test_what_is_found_part_by_part_is_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(silent_meters_job, "_PART", part)
    monkeypatch.setattr(silent_meters_job, "LAST_SEEN_MAX", 2)
    with database.writing() as connection:
        add_meters(connection, range(1, 8), zone="UTC", now=0, regions={})
    speak(database, 1, *range(12))
    speak(database, 2, 3)
    speak(database, 4, *range(12))
    speak(database, 6, 4)
    speak(database, 7, 5)
    seen = {2: "2025-02-08T01:30:00Z", 3: None, 5: None, 6: None, 7: None}
    assert silent(database, MIDNIGHT + 12 * 1800 + 120) == seen


def test_the_nightly_close_makes_no_meter_silent(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1, 2], zone="UTC", now=0, regions=REGIONS)
    speak(database, 1, *range(47))
    speak(database, 2, *range(40))
    close_day(database, day=DAY, zone=UTC, now=NEXT + 1800)
    assert silent(database, NEXT + 2000) == {2: "2025-02-08T19:30:00Z"}


def test_silent_meters_that_speak_late_are_heard_from_either_book(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1, 2, 3], zone="Europe/Warsaw", now=0, regions=REGIONS)
    evening = MIDNIGHT + 22 * 3600
    assert set(silent(database, evening)) == {1, 2, 3}
    speak(database, 1, 43)
    speak(database, 2, 3)
    assert silent(database, evening) == {2: None, 3: None}  # known as silent: as it was found
    speak(database, 2, 42)
    warsaw = ZoneInfo("Europe/Warsaw")
    close_day(database, day=DAY, zone=warsaw, now=NEXT)
    assert silent(database, evening) == {3: None}
    assert silent(database, NEXT + 7_200).keys() == {1, 2, 3}


def test_a_meter_that_came_just_now_is_not_silent_yet(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1], zone="UTC", now=NEXT - 600)
    assert silent(database, NEXT) == {}


def test_regions_say_how_many_meters_are_there_silent_and_unclaimed(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1, 2, 3, 4, 5], zone="UTC", now=0, regions=REGIONS)
    speak(database, 1, 46, 47)
    silent(database, NEXT + 60)
    count_region_meters(database, now=NEXT)
    with database.reading() as connection:
        shown = [(s.region, s.meters, s.unclaimed, s.silent) for s in region_standings(connection)]
        assert shown == [("", 1, 1, 1), ("north", 2, 2, 1), ("south", 2, 2, 2)]
        members = meters_of_region(connection, region="north", limit=10)
        assert [(m.meter_id, m.is_silent) for m in members] == [(1, False), (2, True)]
        assert [m.meter_id for m in meters_of_region(connection, region="", limit=10)] == [5]


def test_a_process_that_starts_does_not_count_again_what_another_has_just_counted(
    database: Database,
) -> None:
    def meters_counted_by_a_new_process(*, now: int) -> int:
        upkeep = RegionUpkeep(database, silent_intervals=4)
        upkeep.run(now=now, pace=unhurried())
        with database.reading() as connection:
            return sum(standing.meters for standing in region_standings(connection))

    for meter, now, counted in (
        (1, NEXT, 1), (2, NEXT + 299, 1), (3, NEXT + 300, 3), (4, NEXT + 299, 4),
    ):  # fmt: skip
        with database.writing() as connection:
            add_meters(connection, [meter], zone="UTC", now=0, regions=REGIONS)
        assert meters_counted_by_a_new_process(now=now) == counted


def test_a_silent_meter_that_is_moved_is_silent_in_its_new_region(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1, 2, 3], zone="UTC", now=0, regions=REGIONS)
    speak(database, 3, 0)
    assert 3 in silent(database, NEXT)
    with database.writing() as connection:
        point = connection.execute(
            sa.select(installations.c.meter_point_id).where(installations.c.meter_id == 3)
        ).scalar_one()
        change_meter_point(
            connection, meter_point_id=point, changes={"region": "north"}, by=None, now=NEXT
        )
    with database.reading() as connection:
        assert 3 in {m.meter_id for m in silent_meters(connection, region="north", limit=10)}
        assert silent_meters(connection, region="south", limit=10) == []
