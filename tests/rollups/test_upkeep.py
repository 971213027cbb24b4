"""Roll-ups computed again: beside others that write them, and of books that are broken."""

import threading
from collections.abc import Iterable, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from books import record_packets, wait_until_done_or_locked_out
from meterbook import day_close
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number, interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.rollups import changes
from meterbook.rollups.sums import RegionDayKey
from meterbook.rollups.upkeep import UnsummableDayError, broken_rollups, rebuild, settle_all
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, ledger

NOW = 1_790_000_000
UTC = ZoneInfo("UTC")
DAY = date(2025, 6, 1)


def close(database: Database, day: date) -> None:
    record_packets(database, [Packet(1, s + 1860, 7) for s in interval_starts(day, UTC)])
    close_day(database, day=day, zone=UTC, now=NOW)


def findings(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(broken_rollups(connection))


def test_sums_are_computed_again_while_others_settle(
    plain_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(plain_postgres_url)
    monkeypatch.setattr(day_close, "settle_all", lambda _database: None)
    close(database, DAY)
    ask_for_standing = changes._standing
    again = threading.Thread(target=rebuild, args=[database])

    def after_a_rebuild_began(
        connection: sa.Connection, keys: Iterable[RegionDayKey]
    ) -> Sequence[sa.Row[*tuple[object, ...]]]:
        if again.ident is None:
            again.start()
            wait_until_done_or_locked_out(database, again)
        return ask_for_standing(connection, keys)

    monkeypatch.setattr(changes, "_standing", after_a_rebuild_began)
    settle_all(database)
    again.join()

    assert findings(database) == []
    database.close()


def test_sums_of_a_day_without_any_reading_are_computed_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_close, "settle_all", lambda _database: None)
    close(database, DAY)
    with database.writing() as connection:
        connection.execute(sa.delete(ledger))
    (finding,) = findings(database)
    assert "meterbook rollups rebuild" in finding

    rebuild(database)

    assert findings(database) == []


@pytest.mark.parametrize("damaged", ["intervals", "zone"])
def test_a_day_that_cannot_be_read_is_named_and_hides_no_other(
    database: Database, damaged: str
) -> None:
    later = date(2025, 6, 2)
    close(database, DAY)
    close(database, later)
    with database.writing() as connection:
        if damaged == "intervals":
            of_day = sa.update(ledger).where(ledger.c.day == day_number(DAY))
            connection.execute(of_day.values(intervals=b"\0"))
        else:
            connection.execute(sa.update(channels).values(zone="Nowhere/Town"))
        connection.exec_driver_sql("UPDATE region_days SET energy = energy + 1")

    found = findings(database)

    assert found[0].startswith(f"roll-ups: {DAY}: cannot be summed: ")
    assert f" {later}" in found[1]
    with pytest.raises(UnsummableDayError, match=f"^{DAY} cannot be summed: .*meterbook verify"):
        rebuild(database)
