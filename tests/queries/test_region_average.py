"""The average home of a region: right where it is said, withheld where it would tell of a home."""

from zoneinfo import ZoneInfo

import pytest

from books import record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, local_day
from meterbook.domain.periods import named_period
from meterbook.intake.packet_fields import Packet
from meterbook.queries.meter_places import meter_place
from meterbook.queries.region_average import RegionAverage, Withheld, region_average
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database

UTC = ZoneInfo("UTC")
NOW = 1_739_059_200 + 3_600  # 2025-02-09T01:00Z
YESTERDAY = local_day(NOW - 86_400, UTC)
HOMES = dict.fromkeys(range(1, 13), "Hills") | {99: "Coast"}


def asked(
    database: Database, meter: int = 1, *, group_min: int = 10, period: str = "prev-day"
) -> RegionAverage:
    with database.reading() as connection:
        place = meter_place(connection, meter_id=meter)
        assert place
        wanted = named_period(period, now=NOW, zone=UTC)
        return region_average(connection, place=place, period=wanted, group_min=group_min, now=NOW)


def report_and_close(database: Database, *, homes: int, intervals: int = 48) -> None:
    """Have so many homes of the hills report yesterday: home n uses n x 100 Wh a half hour."""
    with database.writing() as connection:
        add_meters(connection, HOMES, zone="UTC", now=NOW - 9 * 86_400, regions=HOMES)
    starts = list(interval_starts(YESTERDAY, UTC))[:intervals]
    meters = [*range(1, homes + 1), 99]
    record_packets(
        database, [Packet(meter, start + 1860, 100 * meter) for meter in meters for start in starts]
    )
    close_day(database, day=YESTERDAY, zone=UTC, now=NOW)


def test_the_average_is_of_all_homes_and_the_same_for_everybody(database: Database) -> None:
    report_and_close(database, homes=12)
    first, last = asked(database, 1), asked(database, 12)
    assert first.average_day_kwh == 31.2  # 48 x 100 Wh x 6.5
    assert (first.days, first.withheld) == (1, None)
    assert last.average_day_kwh == first.average_day_kwh
    assert asked(database, period="current-month").average_day_kwh == 31.2


def test_a_tenth_of_a_kilowatt_hour_is_all_that_is_told(database: Database) -> None:
    report_and_close(database, homes=11, intervals=47)
    # 47 x 100 Wh x 6 homes in the middle: 28.2; one reading more or less is not seen
    assert asked(database).average_day_kwh == 28.2


@pytest.mark.parametrize("homes", [9, 10])
def test_one_home_too_few_and_nothing_is_told(database: Database, homes: int) -> None:
    report_and_close(database, homes=homes)
    told = asked(database)
    assert (told.average_day_kwh is None) == (homes < 10)
    assert told.withheld is (Withheld.GROUP_TOO_SMALL if homes < 10 else None)
    assert asked(database, group_min=9).average_day_kwh is not None
    assert asked(database, 99).withheld is Withheld.GROUP_TOO_SMALL
    assert told.days == (homes >= 10)


def test_a_day_with_many_gaps_or_still_open_is_no_average(database: Database) -> None:
    report_and_close(database, homes=12, intervals=40)
    assert asked(database).withheld is Withheld.INCOMPLETE
    assert asked(database, period="current-day").withheld is Withheld.NO_CLOSED_DAY


def test_a_meter_of_no_region_has_no_neighbours(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [5], zone="UTC", now=0)
    told = asked(database, 5)
    assert (told.region, told.withheld) == (None, Withheld.NO_REGION)
