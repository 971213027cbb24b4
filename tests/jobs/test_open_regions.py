"""Regions' open days follow the books: what leaves the daybook otherwise than by a close, too."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from books import record_packets
from meterbook.bulk_load import load_by_meter
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.domain.local_days import midnight
from meterbook.domain.reading_columns import reading_columns
from meterbook.edits import Edit, EditedChannel, edit_readings
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.open_regions import sum_open_days
from meterbook.jobs.pace import unhurried
from meterbook.queries.regions import regional_days
from meterbook.registry.meter_points import change_meter_point
from meterbook.storage.database import Database

DAY = date(2025, 6, 1)
UTC, LONDON = ZoneInfo("UTC"), ZoneInfo("Europe/London")
BEGINS_AT = midnight(DAY, UTC) + 6 * 3600  # a June morning in both zones
NOW = BEGINS_AT + 3600


def shown_wh(database: Database, *, now: int = NOW) -> int:
    """Return what the dashboard says that everybody used, from the day before to the day after."""
    first, end = DAY - timedelta(days=1), DAY + timedelta(days=2)
    with database.reading() as connection:
        days = regional_days(connection, first_day=first, end_day=end, now=now)
    return sum(day.energy_wh for day in days)


def test_what_a_meter_sent_counts_once_when_its_zone_is_set_right(database: Database) -> None:
    record_packets(database, [Packet(1, BEGINS_AT + 1860, 500)])
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())

    with database.writing() as connection:
        changes = {"zone": LONDON.key}
        change_meter_point(connection, meter_point_id=1, changes=changes, by=None, now=NOW)
    sum_open_days(database, marks=marks, now=NOW + 60, pace=unhurried())

    assert shown_wh(database) == 500


def test_a_day_that_an_import_took_out_of_the_daybook_is_shown_as_imported(
    database: Database,
) -> None:
    record_packets(database, [Packet(1, BEGINS_AT + 1860, 500)])
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    days_later = NOW + 3 * 86_400

    loaded = reading_columns(np.array([1]), np.array([BEGINS_AT + 1800]), np.array([700]))
    in_one_transaction(
        database,
        lambda connection: load_by_meter(connection, loaded, default_zone="UTC", now=days_later),
    )
    sum_open_days(database, marks=marks, now=days_later, pace=unhurried())

    assert shown_wh(database, now=days_later) == 500 + 700


def test_an_edit_that_is_withdrawn_counts_in_the_region_no_longer(database: Database) -> None:
    record_packets(database, [Packet(1, BEGINS_AT + 1860, 500)])
    channel = EditedChannel(1, 1800, UTC, "packet-meters/1/readings")
    start = BEGINS_AT - 1800

    def edit(amount: int | None) -> None:
        edits = [Edit(start, amount)]
        edit_readings(database, edits, channel=channel, reason="a typo", by=None, now=NOW)

    edit(90_000)
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    edit(None)
    sum_open_days(database, marks=marks, now=NOW + 60, pace=unhurried())

    assert shown_wh(database) == 500
