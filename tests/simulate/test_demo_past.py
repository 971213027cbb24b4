"""The demo's solar home has days behind it that fit together, and has them once."""

import sqlalchemy as sa

from books import rows_in
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.catalogue import load_catalogue
from meterbook.simulate.demo_past import DAYS, interval_energies_wh
from meterbook.simulate.demo_solar import fill_solar_home, register_solar_home
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, ledger, ledger_revisions, superseded_readings

NOW = 1_790_000_123
BEGIN = 1_789_948_800  # midnight of London, 21 September 2026
END = BEGIN + 86_400 - 3_600


def test_what_is_taken_and_made_is_fed_in_or_used() -> None:
    home = SunnyHome(seed=7)
    taken, fed_in, made = interval_energies_wh(home, begins_at=BEGIN, ends_at=END)
    minutes = [home.power_at(second * 1000) for second in range(BEGIN + 30, END, 60)]
    used_wh = sum(load for load, _ in minutes) / 60
    assert len(taken) == (END - BEGIN) // 300
    assert abs(int((taken + made - fed_in).sum()) - used_wh) <= 3
    assert made.max() > 100
    assert made.min() == 0
    # Within a minute a home takes or feeds in, never both.
    one_of_both = sum(max(load - pv, 0) for load, pv in minutes) / 60
    assert abs(int(taken.sum()) - one_of_both) <= 1


def test_the_past_is_loaded_once_however_often_the_demo_starts(database: Database) -> None:
    with database.writing() as connection:
        add_account(
            connection,
            username="household",
            email="household@demo.invalid",
            password_hash="-",
            role=Role.HOUSEHOLD,
            now=NOW,
        )
        load_catalogue(connection, catalogued_models(), now=NOW)
        owner = register_solar_home(connection, account="household", ports=[5020, 5021], now=NOW)
    fill_solar_home(database, account_id=owner, created_at=NOW, now=NOW)
    once = rows_in(database, ledger, daybook)
    assert once[0] == 3 * DAYS
    assert once[1] > 0
    fill_solar_home(database, account_id=owner, created_at=NOW, now=NOW + 3_600)
    assert rows_in(database, ledger, daybook) == once
    assert rows_in(database, ledger_revisions, superseded_readings) == [0, 0]
    with database.reading() as connection:
        assert (connection.scalar(sa.select(sa.func.sum(ledger.c.energy))) or 0) > 0
