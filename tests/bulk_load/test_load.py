"""The bulk loader on both engines: the same ledger as packets, arrival order decides."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa

from books import ledger_content, record_packets
from meterbook import ledger
from meterbook.bulk_load import LoadReport, load
from meterbook.bulk_load.loader import MixedChannelsError, in_one_transaction
from meterbook.day_close import close_day
from meterbook.daybook import ConcurrentChangeError
from meterbook.domain.local_days import day_bounds, day_number, interval_starts, local_day
from meterbook.domain.readings import Quality
from meterbook.intake.packet_fields import Packet
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, meters, superseded_readings

DAY = date(2025, 2, 8)
UTC = ZoneInfo("UTC")
NOW = 1_760_000_000
ZONES = ["Europe/London", "Europe/Warsaw", "Australia/Lord_Howe", "Asia/Kathmandu"]


def loaded(
    database: Database,
    rows: list[tuple[int, int, int]],
    *,
    zone: ZoneInfo = UTC,
    now: int = NOW,
    book_stands: bool = False,
) -> LoadReport:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return load(
        database,
        channel_id=table[:, 0],
        starts_at=table[:, 1],
        amount=table[:, 2],
        quality=np.full(len(table), int(Quality.RAW)),
        zone=zone,
        now=now,
        book_stands=book_stands,
    )


def with_meters(database: Database, count: int, *, zone: str = "UTC") -> None:
    with database.writing() as connection:
        add_meters(connection, range(1, count + 1), zone=zone, now=NOW)


def intervals(database: Database, channel_id: int, day: date = DAY) -> list[int | None]:
    with database.reading() as connection:
        number = day_number(day)
        [closed] = ledger.days_of_channel(
            connection, channel_id=channel_id, first_day=number, end_day=number + 1
        )
    return closed.intervals


def superseded(database: Database) -> list[tuple[int, int, int]]:
    table = superseded_readings.c
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(table.channel_id, table.starts_at, table.amount).order_by(table.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.parametrize("zone_name", ZONES)
def test_loading_gives_the_ledger_that_packets_and_day_closes_give(
    database: Database, second_database: Database, zone_name: str
) -> None:
    zone = ZoneInfo(zone_name)
    days = [date(2024, month, d) for month in (3, 4, 10) for d in (5, 6, 7, 26, 27, 30, 31)
            if (month, d) != (4, 31)]  # fmt: skip
    rows = [
        (channel, start, channel * 1000 + i)
        for channel in (1, 2)
        for day in days
        for i, start in enumerate(interval_starts(day, zone))
        if i % 7 != channel
    ]
    with_meters(database, 2, zone=zone_name)

    report = loaded(database, rows[::-1], zone=zone)

    packets = [Packet(meter, start + 1860, amount) for meter, start, amount in rows]
    record_packets(second_database, packets, zone=zone_name)
    for day in days:
        close_day(second_database, day=day, zone=zone, now=NOW)
    assert ledger_content(database) == ledger_content(second_database)
    assert (report.new_days, report.readings, report.off_grid) == (2 * len(days), len(rows), 0)


def test_loading_twice_changes_nothing(database: Database) -> None:
    with_meters(database, 1)
    starts = interval_starts(DAY, UTC)
    rows = [(1, start, i) for i, start in enumerate(starts)] + [
        (1, starts[3], 3),
        (1, starts[4], 9),
    ]
    first = loaded(database, rows)
    before = ledger_content(database), superseded(database)

    second = loaded(database, rows)

    assert (first.new_days, first.repeated, first.conflicts) == (1, 1, 1)
    assert (second.new_days, second.revised_days) == (0, 0)
    assert (ledger_content(database), superseded(database)) == before
    assert superseded(database) == [(1, starts[4], 4)]


def test_what_waits_in_the_daybook_arrived_earlier_and_is_kept_as_superseded(
    database: Database,
) -> None:
    starts = interval_starts(DAY, UTC)
    record_packets(database, [Packet(1, starts[0] + 1860, 10), Packet(1, starts[1] + 1860, 11)])

    report = loaded(database, [(1, starts[1], 99)])

    assert intervals(database, 1)[:3] == [10, 99, None]
    assert superseded(database) == [(1, starts[1], 11)]
    assert report.revised_days == 1
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(daybook)) == 0


def test_only_the_loaded_channels_are_taken_out_of_the_daybook(database: Database) -> None:
    starts = interval_starts(DAY, UTC)
    record_packets(database, [Packet(meter, starts[0] + 1860, meter) for meter in (1, 2, 3)])

    loaded(database, [(1, starts[1], 5), (3, starts[1], 6)])

    with database.reading() as connection:
        assert list(connection.scalars(sa.select(daybook.c.channel_id))) == [2]


def test_readings_of_the_open_day_go_to_the_daybook(database: Database) -> None:
    with_meters(database, 1)
    today = local_day(NOW, UTC)
    begins_at, _ = day_bounds(today, UTC)

    report = loaded(database, [(1, begins_at - 1800, 1), (1, begins_at, 2)])

    assert (report.new_days, report.open_readings) == (1, 1)
    with database.reading() as connection:
        found = connection.execute(sa.select(daybook.c.starts_at, daybook.c.amount)).all()
    assert [tuple(row) for row in found] == [(begins_at, 2)]


def test_readings_off_the_local_grid_are_counted_and_not_stored(database: Database) -> None:
    zone = "Asia/Kathmandu"
    with_meters(database, 1, zone=zone)
    starts = interval_starts(DAY, ZoneInfo(zone))

    report = loaded(database, [(1, starts[0], 1), (1, starts[0] + 900, 2)], zone=ZoneInfo(zone))

    assert report.off_grid == 1
    assert sum(amount or 0 for amount in intervals(database, 1)) == 1


def test_where_the_book_stands_only_its_gaps_are_filled(database: Database) -> None:
    today = local_day(NOW, UTC)
    now_starts = interval_starts(today, UTC)
    starts = interval_starts(DAY, UTC)
    with_meters(database, 1)
    loaded(database, [(1, starts[0], 10), (1, starts[1], 11), (1, now_starts[0], 12)])

    report = loaded(
        database,
        [(1, starts[0], 10), (1, starts[1], 77), (1, starts[2], 33),
         (1, now_starts[0], 88), (1, now_starts[1], 44)],
        book_stands=True,
    )  # fmt: skip

    assert intervals(database, 1)[:4] == [10, 11, 33, None]
    assert (report.differing, report.revised_days, report.open_readings) == (2, 1, 1)
    with database.reading() as connection:
        amounts = connection.scalars(sa.select(daybook.c.amount).order_by(daybook.c.starts_at))
        assert list(amounts) == [12, 44]


def test_channels_of_another_zone_are_refused_and_nothing_is_stored(database: Database) -> None:
    with_meters(database, 1, zone="Europe/London")
    starts = interval_starts(DAY, UTC)

    with pytest.raises(MixedChannelsError):
        loaded(database, [(1, starts[0], 10)])

    assert ledger_content(database) == []


def test_a_load_that_lost_against_another_process_is_done_again_whole(database: Database) -> None:
    tries = 0

    def work(connection: sa.Connection) -> int:
        nonlocal tries
        tries += 1
        add_meters(connection, [tries], zone="UTC", now=NOW)
        if tries < 3:
            raise ConcurrentChangeError
        return tries

    assert in_one_transaction(database, work) == 3
    with database.reading() as connection:
        assert list(connection.scalars(sa.select(meters.c.meter_id))) == [3]
