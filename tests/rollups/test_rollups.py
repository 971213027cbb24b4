"""Roll-ups are what the books add up to, whatever came when, and wherever a meter moved."""

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import record_packets
from meterbook.bulk_load.loader import load
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_bounds, interval_starts, local_time
from meterbook.domain.periods import Resolution, free_period
from meterbook.domain.reading_columns import reading_columns
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.open_regions import sum_open_days
from meterbook.jobs.pace import unhurried
from meterbook.jobs.region_meters import count_region_meters
from meterbook.queries.consumption import consumption
from meterbook.queries.meter_places import meter_place
from meterbook.queries.region_profiles import regional_profile
from meterbook.queries.regions import RegionDay, regional_days
from meterbook.registry.meter_points import change_meter_point
from meterbook.registry.meters import add_meters
from meterbook.registry.new_customers import NewCustomer, register_customer
from meterbook.registry.personal_data import personal_data
from meterbook.registry.refusals import InUseError
from meterbook.registry.sign_in import AttemptLimits
from meterbook.rollups.sums import half_hours_in, rows_of
from meterbook.rollups.upkeep import broken_rollups, kept_sums, rebuild, settle_all
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.rollup_tables import region_day_changes, region_days

NOW = 1_790_000_000
CLOCK_CHANGES = [
    ("Europe/London", date(2025, 3, 30)),
    ("Europe/London", date(2025, 10, 26)),
    ("Australia/Lord_Howe", date(2025, 4, 6)),
    ("Australia/Lord_Howe", date(2025, 10, 5)),
    ("Asia/Kathmandu", date(2025, 6, 1)),
    ("UTC", date(2025, 6, 1)),
]
REGIONS = {1: "north", 2: "north", 3: "south"}  # 4 has none


def empty(database: Database) -> None:
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "audit_entries":
                connection.execute(sa.delete(table))


def findings(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(broken_rollups(connection))


def regional(database: Database, first: date, end: date) -> list[RegionDay]:
    with database.reading() as connection:
        return regional_days(connection, first_day=first, end_day=end, now=NOW)


def summed_meter_by_meter(database: Database, day: date) -> dict[str, int]:
    """Return each region's Wh, from what each meter's own page says."""
    energy: dict[str, int] = {}
    with database.reading() as connection:
        for number in range(1, 5):
            place = meter_place(connection, meter_id=number)
            assert place is not None
            period = free_period(day, day + timedelta(days=1), zone=ZoneInfo(place.zone))
            answer = consumption(
                connection, place=place, period=period, resolution=Resolution.DAY, now=NOW
            )
            wh = sum(round((point.energy_kwh or 0) * 1000) for point in answer.points)
            energy[place.region or ""] = energy.get(place.region or "", 0) + wh
    return energy


packets_of_days = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 120), st.integers(0, 5_000_000)), max_size=40
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    where=st.sampled_from(CLOCK_CHANGES),
    first=packets_of_days,
    late=packets_of_days,
    loaded=packets_of_days,
    moved=st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["north", "south", None])), max_size=3
    ),
)
def test_regional_sums_are_those_of_the_readings(
    database: Database,
    where: tuple[str, date],
    first: list[tuple[int, int, int]],
    late: list[tuple[int, int, int]],
    loaded: list[tuple[int, int, int]],
    moved: list[tuple[int, str | None]],
) -> None:
    empty(database)
    name, day = where
    zone = ZoneInfo(name)
    days = [day - timedelta(days=1), day, day + timedelta(days=1)]
    starts = [start for each in days for start in interval_starts(each, zone)]
    with database.writing() as connection:
        add_meters(connection, range(1, 5), zone=name, now=0, regions=REGIONS)
    for part in (first, late):
        record_packets(
            database,
            [Packet(meter, starts[slot] + 1860, wh) for meter, slot, wh in part],
            zone=name,
        )
        for each in days:
            close_day(database, day=each, zone=zone, now=NOW, channels_per_chunk=2)
    _load(database, [(meter, starts[slot], wh) for meter, slot, wh in loaded], zone)
    for meter, region in moved:
        _move(database, meter, region)

    assert findings(database) == []
    _must_add_up(database, days)
    with database.reading() as connection:
        before = [kept_sums(connection, day=(each - date(1970, 1, 1)).days) for each in days]
    settle_all(database)
    assert findings(database) == []
    _must_add_up(database, days)
    with database.reading() as connection:
        assert not connection.execute(sa.select(region_day_changes)).first()
        after = [kept_sums(connection, day=(each - date(1970, 1, 1)).days) for each in days]
    for then, now_ in zip(before, after, strict=True):
        assert rows_of(then) == rows_of(now_)
        assert not any(sums.is_nothing() for sums in now_.values())


def _must_add_up(database: Database, days: list[date]) -> None:
    shown = regional(database, days[0], days[-1] + timedelta(days=1))
    for day in days:
        of_day = {each.region: each.energy_wh for each in shown if each.day == day}
        expected = {r: wh for r, wh in summed_meter_by_meter(database, day).items() if wh}
        assert {region: wh for region, wh in of_day.items() if wh} == expected
        with database.reading() as connection:
            profile = regional_profile(connection, day=day)
            by_region = [
                sum(p.energy_wh or 0 for p in regional_profile(connection, day=day, region=region))
                for region in of_day
            ]
        assert sum(point.energy_wh or 0 for point in profile) == sum(expected.values())
        assert sum(by_region) == sum(expected.values())
        assert all(each.known <= each.expected for each in shown)


def _load(database: Database, readings: list[tuple[int, int, int]], zone: ZoneInfo) -> None:
    if not readings:
        return
    with database.reading() as connection:
        places = {number: meter_place(connection, meter_id=number) for number in range(1, 5)}
    columns = reading_columns(
        np.array([places[meter].channel_id for meter, _, _ in readings], dtype=np.int64),  # type: ignore[union-attr]
        np.array([start for _, start, _ in readings], dtype=np.int64),
        np.array([wh for _, _, wh in readings], dtype=np.int64),
    )
    load(
        database,
        channel_id=columns.source,
        starts_at=columns.starts_at,
        amount=columns.amount,
        quality=columns.quality,
        zone=zone,
        now=NOW,
    )


def _move(database: Database, meter: int, region: str | None) -> None:
    with database.writing() as connection:
        place = meter_place(connection, meter_id=meter)
        assert place is not None
        change_meter_point(
            connection,
            meter_point_id=place.meter_point_id,
            changes={"region": region},
            by=None,
            now=NOW,
        )


def fill(database: Database, day: date, zone: str) -> int:
    """Record a whole day of four meters and return its Wh."""
    starts = interval_starts(day, ZoneInfo(zone))
    with database.writing() as connection:
        add_meters(connection, range(1, 5), zone=zone, now=0, regions=REGIONS)
    packets = [
        Packet(meter, start + 1860, meter * 100 + index)
        for meter in range(1, 5)
        for index, start in enumerate(starts)
    ]
    record_packets(database, packets, zone=zone)
    return sum(packet.energy_wh for packet in packets)


def test_a_meter_that_its_household_places_takes_its_days_along(
    database: Database, tmp_path: Path
) -> None:
    day = date(2025, 6, 1)
    fill(database, day, "UTC")
    close_day(database, day=day, zone=ZoneInfo("UTC"), now=NOW)
    for name, meter_id in (("ada", 3), ("bob", 4), ("cleo", 5)):
        customer = NewCustomer(
            username=name,
            email=f"{name}@example.com",
            password="a-long-password-of-a-home",
            fin="S1234567D",
            meter_id=meter_id,
            street="S",
            number="1",
            city="C",
            zip_code="Z",
            region="north",
        )
        register_customer(
            database,
            personal_data(data_dir=tmp_path, secret_key=""),
            customer=customer,
            address="",
            limits=AttemptLimits(),
            session_s=60,
            default_zone="UTC",
            now=NOW,
        )

    settle_all(database)
    by_region = {each.region: each.channels for each in regional(database, day, date(2025, 6, 2))}
    # Where somebody has placed a meter already it stays, and one that is new has no days.
    assert by_region == {"north": 3, "south": 1}
    assert findings(database) == []


def test_the_zone_of_days_that_were_imported_is_fixed(database: Database) -> None:
    day = date(2013, 3, 31)
    record_packets(database, [Packet(1, NOW - 86_400, 1)])
    _load(
        database,
        [(1, start, 1) for start in interval_starts(day, ZoneInfo("UTC"))],
        ZoneInfo("UTC"),
    )

    with pytest.raises(InUseError, match="closed days"), database.writing() as connection:
        change_meter_point(
            connection, meter_point_id=1, changes={"zone": "Europe/London"}, by=None, now=NOW
        )

    record_packets(database, [Packet(2, NOW - 86_400, 1)])
    with database.writing() as connection:
        changes = {"zone": "Europe/London"}
        change_meter_point(connection, meter_point_id=2, changes=changes, by=None, now=NOW)
    assert findings(database) == []


@pytest.mark.parametrize(("zone", "day"), CLOCK_CHANGES)
def test_an_open_day_shows_the_same_figures_as_when_it_is_closed(
    database: Database, zone: str, day: date
) -> None:
    total = fill(database, day, zone)
    end = day + timedelta(days=1)
    assert regional(database, day, end) == []
    sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    opened = regional(database, day, end)
    with database.reading() as connection:
        open_profile = regional_profile(connection, day=day)
    close_day(database, day=day, zone=ZoneInfo(zone), now=NOW)
    closed = regional(database, day, end)
    with database.reading() as connection:
        closed_profile = regional_profile(connection, day=day)

    assert sum(each.energy_wh for each in opened) == total
    assert opened == closed
    assert open_profile == closed_profile
    assert len(closed_profile) == half_hours_in((day - date(1970, 1, 1)).days, zone)
    clock = [local_time(at, ZoneInfo(zone)) for at in interval_starts(day, ZoneInfo(zone))]
    assert [point.begins for point in closed_profile] == [
        f"{at:%H:%M}" + "+" * at.fold for at in clock
    ]
    assert {each.region for each in closed} == {"north", "south", ""}
    sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    assert regional(database, day, end) == closed


def test_a_day_half_closed_counts_nothing_twice(database: Database) -> None:
    day, zone = date(2025, 6, 1), ZoneInfo("UTC")
    total = fill(database, day, "UTC")
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())

    class PlugPulledError(Exception):
        pass

    def pull(_done: int) -> None:
        raise PlugPulledError

    with pytest.raises(PlugPulledError):
        close_day(database, day=day, zone=zone, now=NOW, channels_per_chunk=2, on_chunk=pull)

    shown = regional(database, day, day + timedelta(days=1))
    assert sum(each.energy_wh for each in shown) == total
    sum_open_days(database, marks=marks, now=NOW, pace=unhurried())
    shown = regional(database, day, day + timedelta(days=1))
    assert sum(each.energy_wh for each in shown) == total


def test_only_what_changed_is_summed_again(database: Database) -> None:
    day = date(2025, 6, 1)
    fill(database, day, "UTC")
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    begins_at = day_bounds(day, ZoneInfo("UTC"))[0]
    record_packets(database, [Packet(1, begins_at + 1860, 7_777)])
    later = sum_open_days(database, marks=marks, now=NOW + 60, pace=unhurried())
    assert [key for key in later if later[key] != marks[key]] == [(begins_at, "UTC")]
    with database.reading() as connection:
        point = regional_profile(connection, day=day, region="north")[0]
    assert (point.begins, point.energy_wh, point.reporting) == ("00:00", 7_777 + 200, 2)


def test_verify_finds_a_wrong_sum_and_rebuild_makes_it_right(database: Database) -> None:
    day = date(2025, 6, 1)
    fill(database, day, "UTC")
    close_day(database, day=day, zone=ZoneInfo("UTC"), now=NOW)
    right = regional(database, day, day + timedelta(days=1))
    with database.writing() as connection:
        connection.execute(
            sa.update(region_days)
            .where(region_days.c.region == "south")
            .values(energy=region_days.c.energy + 1)
        )
    (finding,) = findings(database)
    assert finding.startswith("roll-ups: south, 2025-06-01 in UTC: 1 Wh and 0 channels more than")
    assert rebuild(database) == 1
    assert findings(database) == []
    assert regional(database, day, day + timedelta(days=1)) == right


def test_what_a_silent_meter_did_not_send_is_expected_all_the_same(database: Database) -> None:
    day = date(2025, 6, 1)
    starts = interval_starts(day, ZoneInfo("UTC"))
    with database.writing() as connection:
        add_meters(connection, range(1, 5), zone="UTC", now=0, regions=REGIONS)
    record_packets(database, [Packet(1, start + 1860, 5) for start in starts[:47]])
    close_day(database, day=day, zone=ZoneInfo("UTC"), now=NOW)
    count_region_meters(database, now=NOW)
    (north,) = regional(database, day, day + timedelta(days=1))
    assert (north.region, north.channels, north.known, north.expected) == ("north", 1, 47, 96)
