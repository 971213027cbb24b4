"""Order does not matter: shuffled, repeated and late packets lead to the same ledger."""

import random
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import ledger_content, record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, numbered_day
from meterbook.intake.packet_fields import Packet
from meterbook.ledger import decode_intervals
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.migrate import migrate

ZONE = ZoneInfo("Europe/London")
DAYS = [date(2025, 3, 29) + timedelta(days=offset) for offset in range(3)]  # the clocks change
NOW = 1_760_000_000


def packets(meters: int) -> list[Packet]:
    return [
        Packet(meter_id, start + 1860, (meter_id * 7919 + start) % 3000)
        for day in DAYS
        for start in interval_starts(day, ZONE)
        for meter_id in range(1, meters + 1)
    ]


def close_all(database: Database) -> None:
    for day in DAYS:
        close_day(database, day=day, zone=ZONE, now=NOW, channels_per_chunk=7)


def test_shuffled_repeated_and_late_arrival_leads_to_the_ledger_of_orderly_arrival(
    database: Database, tmp_path: Path
) -> None:
    sent = packets(20)
    orderly = Database(f"sqlite:///{tmp_path / 'orderly.sqlite'}")
    migrate(orderly)
    record_packets(orderly, sent, zone=ZONE.key)
    close_all(orderly)
    expected = ledger_content(orderly)
    orderly.close()

    chance = random.Random(7)
    late = chance.sample(sent, len(sent) // 20)
    late_ones = set(late)
    early = [packet for packet in sent if packet not in late_ones]
    early += chance.sample(early, len(early) // 10)
    chance.shuffle(early)
    for begin in range(0, len(early), 313):
        record_packets(database, early[begin : begin + 313], zone=ZONE.key)
    close_all(database)
    assert ledger_content(database) != expected
    record_packets(database, late + late[:5], zone=ZONE.key)
    close_all(database)

    assert ledger_content(database) == expected
    for check in CHECKS.values():
        with database.reading() as connection:
            assert list(check(connection)) == []


Event = tuple[str, int, int, int]


@pytest.fixture
def emptied(sqlite_database: Database) -> Database:
    """Give a database that each example empties for itself."""
    return sqlite_database


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("packet"), st.integers(1, 3), st.integers(0, 143), st.integers(0, 5)),
            st.tuples(st.just("close"), st.integers(0, 2), st.just(0), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_comes_and_closes_in_whatever_order_the_last_value_of_each_interval_counts(
    emptied: Database, events: list[Event]
) -> None:
    with emptied.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    starts = [start for day in DAYS for start in interval_starts(day, ZONE)]
    expected: dict[tuple[int, int], int] = {}
    for kind, which, slot, energy_wh in events:
        if kind == "close":
            close_day(emptied, day=DAYS[which], zone=ZONE, now=NOW, channels_per_chunk=2)
            continue
        start = starts[slot % len(starts)]
        record_packets(emptied, [Packet(which, start + 1860, energy_wh)], zone=ZONE.key)
        expected[which, start] = energy_wh
    close_all(emptied)

    found = {}
    for meter_id, day, _energy, intervals, *_ in ledger_content(emptied):
        assert isinstance(day, int)
        assert isinstance(intervals, bytes)
        slots = interval_starts(numbered_day(day), ZONE)
        for start, amount in zip(slots, decode_intervals(intervals), strict=True):
            if amount is not None:
                found[meter_id, start] = amount
    assert found == expected
    for check in CHECKS.values():
        with emptied.reading() as connection:
            assert list(check(connection)) == []
