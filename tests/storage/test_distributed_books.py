"""
A day on distributed books: the same figures as on SQLite, by statements that Citus does well.

Without METERBOOK_TEST_CITUS the database only passes for a coordinator: the statements are the
same, and read against Citus' rules. With it their plans are read too.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from books import ledger_content, record_packets
from clusters import citus_url
from meterbook import daybook, ledger
from meterbook.bulk_load import load_by_meter, loader
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.day_close import close_day, days_to_close
from meterbook.daybook import recording
from meterbook.domain.local_days import day_bounds, day_number, interval_starts
from meterbook.domain.reading_columns import ReadingColumns
from meterbook.domain.readings import Quality, Reading
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.open_regions import sum_open_days
from meterbook.jobs.pace import unhurried
from meterbook.jobs.silent_meters import find_silent_meters
from meterbook.queries.channel_days import channel_days
from meterbook.queries.conflicts import conflicts
from meterbook.queries.exported import days_of_books
from meterbook.queries.fresh_readings import open_by_channel
from meterbook.queries.invariants import CHECKS
from meterbook.queries.master_meters import master_meters
from meterbook.queries.meter_days import meter_days
from meterbook.queries.meter_places import meter_place
from meterbook.queries.meter_totals import meter_total
from meterbook.registry.meter_points import change_meter_point
from meterbook.storage.database import Database
from meterbook.storage.tables import superseded_readings
from statements import Statement, captured, faults, plan

DAY = date(2025, 2, 8)
NEXT = DAY + timedelta(days=1)
UTC = ZoneInfo("UTC")
MIDNIGHT, ENDS_AT = day_bounds(DAY, UTC)
METERS = 40
NOW = ENDS_AT + 3 * 3600


def packets(day: date, *, slots: int) -> list[Packet]:
    return [
        Packet(meter_id, start + 1860, meter_id * 1000 + index)
        for meter_id in range(1, METERS + 1)
        for index, start in enumerate(list(interval_starts(day, UTC))[: slots - meter_id % 3])
    ]


def live_a_day(database: Database) -> list[object]:
    """Let packets, repetitions, corrections, a file, closes and questions come; return answers."""
    record_packets(database, packets(DAY, slots=47))
    record_packets(database, packets(DAY, slots=3)[:20])
    record_packets(database, [Packet(3, MIDNIGHT + 1860, 5), Packet(4, MIDNIGHT + 1860, 4000)])
    record_packets(database, packets(NEXT, slots=5))
    told: list[object] = [sorted(ask(database))]
    close = close_day(database, day=DAY, zone=UTC, now=NOW, channels_per_chunk=7)
    told.append((close.channel_days, close.readings, close.revised))
    record_packets(database, [Packet(5, MIDNIGHT + 1860, 6), Packet(6, ENDS_AT + 60, 7)])
    in_one_transaction(database, load_file)
    with database.writing() as connection:
        running = [Reading(1, ENDS_AT, 9, Quality.RAW)]
        daybook.record_running(connection, running, received_at_ms=NOW * 1000)
        change_meter_point(
            connection, meter_point_id=2, changes={"region": "North"}, by=None, now=NOW
        )
    close = close_day(database, day=DAY, zone=UTC, now=NOW, channels_per_chunk=7)
    told.append((close.channel_days, close.readings, close.revised))
    told.append(sorted(ask(database)))
    with database.reading() as connection:
        told.append([list(check(connection)) for check in CHECKS.values()])
    told.append(ledger_content(database))
    return told


def load_file(connection: sa.Connection) -> object:
    """Load a correction, a new day and a meter nobody knows."""
    source = np.array([7, 8, 99, 9], dtype=np.int64)
    starts_at = np.array([MIDNIGHT, MIDNIGHT - 86_400, MIDNIGHT, ENDS_AT], dtype=np.int64)
    amount = np.array([11, 12, 13, 14], dtype=np.int64)
    quality = np.full(4, int(Quality.RAW), dtype=np.int64)
    columns = ReadingColumns(source, starts_at, amount, quality)
    return load_by_meter(connection, columns, default_zone="UTC", now=NOW)


def ask(database: Database) -> Iterator[str]:
    """Yield the answers to what people and jobs ask."""
    marks = sum_open_days(database, marks={}, now=NOW, pace=unhurried())
    yield f"open {sorted((key, mark[0]) for key, mark in marks.items())}"
    yield f"silent {find_silent_meters(database, silent_intervals=4, now=NOW, pace=unhurried())}"
    with database.reading() as connection:
        yield f"due {days_to_close(connection, zone=UTC, due_at=NOW, late_before=NOW)}"
        yield f"books {days_of_books(connection)}"
        for meter_id in (1, 4, 8):
            place = meter_place(connection, meter_id=meter_id)
            assert place is not None
            yield f"total {meter_id} {meter_total(connection, place=place, now=NOW)}"
            days = channel_days(
                connection, channel_id=place.channel_id, interval_s=1800,
                first_day=DAY, end_day=NEXT + timedelta(days=1), zone=UTC,
            )  # fmt: skip
            yield f"days {meter_id} {[(d.day, d.amounts) for d in days]}"
        for meter in meter_days(connection, day=DAY, zone=UTC):
            yield f"day {meter}"
        for found in master_meters(connection):
            yield f"master {found.meter_id} {found.totals}"
        for conflict in conflicts(connection, limit=10):
            yield f"conflict {conflict.meter_id} {conflict.superseded} {conflict.counting}"
        fresh = open_by_channel(connection, [1, 2], now=NOW)
        yield f"fresh { {key: sorted(slots) for key, slots in fresh.items()} }"


@pytest.fixture
def lived(distributed_database: Database) -> tuple[list[object], dict[str, Statement]]:
    """Give the answers of a day on distributed books, and what was asked for them."""
    with captured(distributed_database) as seen:
        told = live_a_day(distributed_database)
    return told, {text: found for text, found in seen.items() if found.tables}


def test_distributed_books_say_what_an_sqlite_file_says_in_statements_citus_does_well(
    lived: tuple[list[object], dict[str, Statement]], sqlite_database: Database
) -> None:
    told, seen = lived
    assert told == live_a_day(sqlite_database)
    assert {table for found in seen.values() for table in found.tables} >= {
        "daybook", "superseded_readings", "ledger", "ledger_revisions",
    }  # fmt: skip
    assert {text: faults(found) for text, found in seen.items() if faults(found)} == {}


@pytest.mark.skipif(citus_url() is None, reason="METERBOOK_TEST_CITUS names no Citus coordinator")
def test_every_statement_is_of_one_shard_or_done_by_all_shards_at_once(
    lived: tuple[list[object], dict[str, Statement]], distributed_database: Database
) -> None:
    for found in lived[1].values():
        how = plan(distributed_database, found)
        assert "repartition" not in how.lower(), f"{found.text}\n{how}"
        counts = [line.split(":")[1].strip() for line in how.splitlines() if "Task Count" in line]
        if found.is_of_one_channel:
            assert set(counts) <= {"1"}, f"{found.text}\n{how}"
        # What is fetched to the coordinator is a batch, or rows that have been taken.
        if "Distributed Subplan" in how and "DELETE FROM daybook" not in found.text:
            assert how.count("Custom Scan (Citus Adaptive)") <= 1, f"{found.text}\n{how}"
        if "pull to coordinator" in how:
            assert "unnest(" in found.text, f"{found.text}\n{how}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            "SELECT 1 FROM channels LEFT JOIN daybook ON daybook.channel_id = channels.id",
            "an outer join from what every node has to what is distributed",
            id="outer join",
        ),
        pytest.param(
            "SELECT 1 FROM daybook JOIN ledger ON ledger.day = daybook.starts_at",
            "distributed tables joined by something else than their channel",
            id="join by day",
        ),
        pytest.param(
            "SELECT 1 FROM unnest(ARRAY[1]) AS batch(id) CROSS JOIN daybook FOR UPDATE OF daybook",
            "row locks in many shards",
            id="row locks",
        ),
        pytest.param(
            "SELECT 1 FROM channels WHERE NOT EXISTS"
            " (SELECT 1 FROM daybook WHERE channel_id = channels.id)",
            "rows of shards looked up for rows that every node has",
            id="look-up",
        ),
        pytest.param(
            "WITH RECURSIVE s(n) AS (SELECT min(day) FROM ledger UNION ALL SELECT n FROM s)"
            " SELECT n FROM s",
            "recursion over many shards",
            id="recursion",
        ),
        pytest.param(
            "SELECT 1 FROM unnest(ARRAY[1]) AS b(id), ledger WHERE ledger.channel_id = b.id",
            "a function joined without a SELECT of its own around it",
            id="bare function",
        ),
        pytest.param(
            "SELECT 1 FROM audit_entries JOIN ledger ON day = number",
            "a table of the coordinator with others",
            id="local table",
        ),
        pytest.param(
            "INSERT INTO ledger (day) SELECT 1", "a row without its channel", id="no channel"
        ),
    ],
)
def test_what_citus_does_badly_is_found(text: str, fault: str) -> None:
    assert fault in faults(Statement(text, None))


@pytest.fixture
def read_committed(distributed_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Give distributed books whose transactions see what others commit, as nodes of Citus do."""
    writing = distributed_database.writing
    monkeypatch.setattr(distributed_database, "writing", lambda **_options: writing())
    return distributed_database


def test_a_reading_that_arrives_while_its_day_is_taken_is_taken_or_stays(
    read_committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_packets(read_committed, packets(DAY, slots=10))
    late = [Packet(1, MIDNIGHT + 40 * 1800 + 1860, 77)]
    take_slots = daybook.take_slots

    def take_and_record(connection: sa.Connection, **asked: Any) -> Any:
        taken = take_slots(connection, **asked)
        if late and 1 in taken[1]:
            record_packets(read_committed, [late.pop()])
        return taken

    monkeypatch.setattr(daybook, "take_slots", take_and_record)
    close_day(read_committed, day=DAY, zone=UTC, now=NOW, closers=1)
    with read_committed.reading() as connection:
        waiting = daybook.open_readings(connection, [1], starts_at=0, ends_at=NOW)
    assert [reading.amount for reading in waiting] == [77]


def test_a_day_revised_while_it_is_being_revised_keeps_both_changes(
    read_committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_packets(read_committed, [Packet(1, MIDNIGHT + 1860, 5)])
    close_day(read_committed, day=DAY, zone=UTC, now=NOW)
    record_packets(read_committed, [Packet(1, MIDNIGHT + 1800 + 1860, 60)])
    revise_days = ledger.revise_days
    others = [ReadingColumns(*(np.array([n]) for n in (1, MIDNIGHT + 3600, 700, 14)))]

    def load_another(connection: sa.Connection) -> object:
        return load_by_meter(connection, others.pop(), default_zone="UTC", now=NOW)

    def be_overtaken(connection: sa.Connection, changes: Any, **said: Any) -> None:
        monkeypatch.setattr(ledger, "revise_days", revise_days)
        # A load takes what waits; it cannot see what the close has taken and not committed.
        monkeypatch.setattr(loader, "take_waiting", lambda *_a, **_b: None)
        in_one_transaction(read_committed, load_another)
        revise_days(connection, changes, **said)

    monkeypatch.setattr(ledger, "revise_days", be_overtaken)
    close_day(read_committed, day=DAY, zone=UTC, now=NOW)
    with read_committed.reading() as connection:
        revisions = ledger.revisions(connection, channel_id=1, day=day_number(DAY))
    assert [entry.revision for entry in revisions] == [3, 2, 1]
    assert revisions[0].closed.intervals[:3] == [5, 60, 700]


def test_two_who_correct_a_reading_at_once_lose_neither_value(
    read_committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Packet(1, MIDNIGHT + 1860, 5)
    record_packets(read_committed, [first])
    stored = recording._stored
    others = [msgspec.structs.replace(first, energy_wh=6)]

    def be_overtaken(*asked: Any) -> Any:
        found = stored(*asked)
        if others:
            record_packets(read_committed, [others.pop()])
        return found

    monkeypatch.setattr(recording, "_stored", be_overtaken)
    record_packets(read_committed, [msgspec.structs.replace(first, energy_wh=7)])
    with read_committed.reading() as connection:
        [standing] = daybook.open_readings(connection, [1], starts_at=0, ends_at=NOW)
        kept = connection.scalars(
            sa.select(superseded_readings.c.amount).order_by(superseded_readings.c.id)
        ).all()
    assert (standing.amount, kept) == (7, [5, 6])
