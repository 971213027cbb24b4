"""The demo's book: filled once or bit by bit, with its flaws, and only where a demo may be."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from meterbook.domain.local_days import day_number, local_day, midnight
from meterbook.jobs.close_days import close_ended_days
from meterbook.queries.channel_days import DayReadings, channel_days
from meterbook.queries.meter_places import meter_place, meters_of_account
from meterbook.registry.accounts import Role, account_by_name
from meterbook.simulate.demo_book import ACCOUNTS, DEMO_FILE, NotADemoError, demo_state, fill
from meterbook.simulate.demo_homes import (
    CONFLICT_METER,
    FIRST_ID,
    HOUSEHOLD_METERS,
    METERS,
    SILENT_METER,
    UNCLAIMED_METER,
    ZONE,
    conflicting_reading,
    demo_homes,
    sending_homes,
)
from meterbook.simulate.homes import REGIONS
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import day_closes, ledger_revisions, superseded_readings

MADE_AT = 1_792_934_640  # 25 October 2026, 11:24 UTC, the day the clocks in London go back
DAY_S = 86_400
PAUSES_S = (0, 3 * 3600, 2 * DAY_S, 4 * DAY_S + 7 * 3600)
METER_IDS = range(FIRST_ID, FIRST_ID + METERS)


def opened(tmp_path: Path, name: str) -> tuple[Database, Path]:
    data_dir = tmp_path / name
    demo_state(data_dir, now=MADE_AT)
    database = Database(f"sqlite:///{data_dir / 'meterbook.sqlite'}")
    migrate(database)
    return database, data_dir


def days_of(database: Database, meter_id: int, *, until: int, days: int) -> list[DayReadings]:
    end_day = local_day(until + DAY_S, ZONE)
    with database.reading() as connection:
        place = meter_place(connection, meter_id=meter_id)
        assert place is not None
        return list(
            channel_days(
                connection,
                channel_id=place.channel_id,
                interval_s=place.interval_s,
                first_day=local_day(until - days * DAY_S, ZONE),
                end_day=end_day,
                zone=ZONE,
            )
        )


def known(days: list[DayReadings]) -> dict[int, int]:
    return {
        day.starts_at + index * day.interval_s: amount
        for day in days
        for index, amount in enumerate(day.amounts)
        if amount is not None
    }


def test_filling_in_goes_with_closes_between_gives_the_same_book_as_filling_at_once(
    tmp_path: Path,
) -> None:
    database, data_dir = opened(tmp_path, "in-goes")
    for pause_s in PAUSES_S:
        fill(database, data_dir=data_dir, days=9, now=MADE_AT + pause_s)
        close_ended_days(database, now=MADE_AT + pause_s, delay_s=1800)
    at_once, other_dir = opened(tmp_path, "at-once")
    fill(at_once, data_dir=other_dir, days=9, now=MADE_AT + PAUSES_S[-1])

    for meter_id in METER_IDS:
        until = MADE_AT + PAUSES_S[-1]
        there = days_of(database, meter_id, until=until, days=14)
        assert there == days_of(at_once, meter_id, until=until, days=14)
    # A day that was open when the demo paused may have been closed without its end: revised once.
    paused_on = {day_number(local_day(MADE_AT + pause_s, ZONE)) for pause_s in PAUSES_S}
    with database.reading() as connection:
        place = meter_place(connection, meter_id=CONFLICT_METER)
        revised = connection.execute(
            sa.select(ledger_revisions.c.day).where(
                ledger_revisions.c.channel_id != (place.channel_id if place else 0)
            )
        ).scalars()
        assert set(revised) <= paused_on
    database.close()
    at_once.close()


def test_every_reading_of_the_books_is_the_homes_own(tmp_path: Path) -> None:
    database, data_dir = opened(tmp_path, "demo")
    fill(database, data_dir=data_dir, days=3, now=MADE_AT)

    for home in demo_homes():
        for starts_at, amount in known(
            days_of(database, home.meter_id, until=MADE_AT, days=3)
        ).items():
            assert home.reading(starts_at) == amount
    database.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database, data_dir = opened(tmp_path_factory.mktemp("demo"), "demo")
    fill(database, data_dir=data_dir, days=30, now=MADE_AT)
    close_ended_days(database, now=MADE_AT, delay_s=1800)
    return database


def test_the_household_owns_two_meters_and_one_meter_belongs_to_nobody(demo: Database) -> None:
    with demo.reading() as connection:
        household, _ = account_by_name(connection, username="household")
        assert household is not None
        owners = {
            number: place.account_id
            for number in METER_IDS
            if (place := meter_place(connection, meter_id=number))
        }
        assert meters_of_account(connection, account_id=household.id) == sorted(HOUSEHOLD_METERS)
        roles = {name: account_by_name(connection, username=name)[0] for name in ACCOUNTS}

    assert 999_999_999 in HOUSEHOLD_METERS
    assert [number for number, owner in owners.items() if owner is None] == [UNCLAIMED_METER]
    assert {name: account and account.role for name, account in roles.items()} == {
        "household": Role.HOUSEHOLD,
        "operator": Role.OPERATOR,
        "admin": Role.ADMIN,
    }


def test_the_meters_stand_in_five_regions(demo: Database) -> None:
    with demo.reading() as connection:
        places = [meter_place(connection, meter_id=number) for number in METER_IDS]

    assert {place.region for place in places if place and place.region} == set(REGIONS)


def test_the_silent_meter_stopped_five_days_ago_and_does_not_send_any_more(demo: Database) -> None:
    latest = max(known(days_of(demo, SILENT_METER, until=MADE_AT, days=30)))

    assert 5 * DAY_S < MADE_AT - latest < 6 * DAY_S
    assert SILENT_METER not in {home.meter_id for home in sending_homes()}


def test_some_half_hours_are_missing_and_today_is_there_up_to_now(demo: Database) -> None:
    days = days_of(demo, 999_999_999, until=MADE_AT, days=30)
    past = [day for day in days if day.starts_at + 25 * 3600 < MADE_AT]
    missing = [sum(amount is None for amount in day.amounts) for day in past]

    assert min(missing) == 1  # the backup gap of 23:30
    assert max(missing) > 1
    assert MADE_AT - 2 * 3600 < max(known(days)) <= MADE_AT - 1800
    assert midnight(local_day(MADE_AT, ZONE), ZONE) in known(days)


def test_the_conflicts_last_word_counts_and_the_first_is_kept(demo: Database) -> None:
    starts_at, wrong, right = conflicting_reading(created_at=MADE_AT)
    with demo.reading() as connection:
        kept = connection.execute(
            sa.select(superseded_readings.c.starts_at, superseded_readings.c.amount)
        ).all()

    assert known(days_of(demo, CONFLICT_METER, until=MADE_AT, days=30))[starts_at] == right
    assert [tuple(row) for row in kept] == [(starts_at, wrong)]


def test_a_folder_with_another_book_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "meterbook.sqlite").write_text("a real book")

    with pytest.raises(NotADemoError):
        demo_state(tmp_path, now=MADE_AT)

    assert not (tmp_path / DEMO_FILE).exists()


def test_the_demo_of_a_new_folder_has_closed_its_yesterday(demo: Database) -> None:
    with demo.reading() as connection:
        closes = connection.execute(sa.select(day_closes.c.day)).scalars().all()

    assert closes
