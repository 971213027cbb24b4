"""
24 hours of a whole town with the faults of TSBS's load generator, against the same hours in order.

Of 100,000 meters 48 half-hours each come in batches: 1 % of the batches are missing, 5 % come out
of order, 10 % of the rows are missing, 30 % of a batch's rows are out of order. What is missing
comes in the end, after the day was closed. The ledger must be, row by row, the one of a town whose
packets all came in order and once.
"""

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from books import ledger_content
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, midnight
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder, Stored
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from torture.clusters import new_cluster
from torture.outcomes import Outcome
from torture.processes import taken
from torture.promises import broken_invariants

METERS = 100_000
BATCH_METERS = 1_000
DAY = date(2025, 3, 12)
ZONE = ZoneInfo("UTC")
NOW = midnight(DAY, ZONE) + 200_000
MISSING_BATCHES = 0.01
BATCHES_OUT_OF_ORDER = 0.05
MISSING_ROWS = 0.10
ROWS_OUT_OF_ORDER = 0.30
LATE_BY_MAX = 40  # batches; one out of order comes that much later at most

Row = tuple[int, int]
"""meter_id, index of its half-hour."""


class Mixed(msgspec.Struct):
    """Batches as they come, and what comes in the end."""

    batches: list[list[Row]]
    late: list[Row]


def town(meters: int) -> list[list[Row]]:
    """Return a day's batches in order: each half-hour of each thousand meters."""
    return [
        [(meter_id, index) for meter_id in range(first, min(first + BATCH_METERS, meters + 1))]
        for index in range(48)
        for first in range(1, meters + 1, BATCH_METERS)
    ]


def mixed(batches: Sequence[list[Row]], *, seed: int) -> Mixed:
    """Return the batches with the faults in them."""
    chance = random.Random(seed)
    late: list[Row] = []
    placed: list[tuple[float, list[Row]]] = []
    for place, batch in enumerate(batches):
        if chance.random() < MISSING_BATCHES:
            late += batch
            continue
        kept: list[Row] = []
        for row in batch:
            (late if chance.random() < MISSING_ROWS else kept).append(row)
        _disorder(kept, chance)
        is_late = chance.random() < BATCHES_OUT_OF_ORDER
        placed.append((place + (chance.uniform(1, LATE_BY_MAX) if is_late else 0), kept))
    placed.sort(key=lambda one: one[0])
    chance.shuffle(late)
    return Mixed([batch for _, batch in placed], late)


def fault_mix(url: str, expected_url: str, *, meters: int, seed: int) -> Outcome:
    """Fill one empty book in order and the other with the faults, and compare their ledgers."""
    batches = town(meters)
    orderly, disorderly = Database(expected_url), Database(url)
    outcome = Outcome(what="", cycles=1, acknowledged=48 * meters)
    try:
        for database in (orderly, disorderly):
            migrate(database)
        _record(orderly, batches)
        close_day(orderly, day=DAY, zone=ZONE, now=NOW)
        before = taken(_own_process())
        mix = mixed(batches, seed=seed)
        _record(disorderly, mix.batches)
        close_day(disorderly, day=DAY, zone=ZONE, now=NOW)
        _record(
            disorderly,
            [mix.late[i : i + BATCH_METERS] for i in range(0, len(mix.late), BATCH_METERS)],
        )
        close_day(disorderly, day=DAY, zone=ZONE, now=NOW)
        after = taken(_own_process())
        outcome.found = _readings_alike(orderly, disorderly, outcome)
        outcome.findings += broken_invariants(disorderly)
        outcome.memory = f"{before.memory_mib} > {after.memory_mib}"
        outcome.handles = f"{before.handles} > {after.handles}"
        outcome.note = f"{len(mix.late):,} readings came after the day was closed"
    finally:
        orderly.close()
        disorderly.close()
    return outcome


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:  # noqa: ARG001 every family's form
    """Send a town's day to both engines, once each."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        books = [f"sqlite:///{Path(name) / file}" for file in ("mixed", "orderly", "again")]
        outcome = fault_mix(books[0], books[1], meters=METERS, seed=seed)
        outcome.what = "24 h of 100,000 meters with TSBS's faults, sqlite"
        yield outcome
        with new_cluster() as cluster:
            outcome = fault_mix(cluster.url, books[2], meters=METERS, seed=seed)
            outcome.what = "24 h of 100,000 meters with TSBS's faults, postgresql"
            yield outcome


def _disorder(rows: list[Row], chance: random.Random) -> None:
    places = chance.sample(range(len(rows)), round(len(rows) * ROWS_OUT_OF_ORDER))
    moved = [rows[place] for place in places]
    chance.shuffle(moved)
    for place, row in zip(places, moved, strict=True):
        rows[place] = row


def _record(database: Database, batches: Sequence[list[Row]]) -> None:
    recorder = PacketRecorder(database, default_zone=ZONE.key)
    starts = interval_starts(DAY, ZONE)
    for batch in batches:
        arrivals = [
            Arrival(Packet(meter_id, starts[index] + 1860, _energy_wh(meter_id, index)), None)
            for meter_id, index in batch
        ]
        answers = recorder.record(arrivals)
        if not all(isinstance(answer, Stored) for answer in answers):
            raise RuntimeError("a packet was refused")


def _energy_wh(meter_id: int, index: int) -> int:
    return (meter_id * 7919 + index * 104_729) % 3_000


def _readings_alike(orderly: Database, disorderly: Database, outcome: Outcome) -> int:
    expected, found = ledger_content(orderly), ledger_content(disorderly)
    alike = sum(one == other for one, other in zip(expected, found, strict=False))
    if alike != len(expected) or len(found) != len(expected):
        outcome.findings.append(f"{alike} rows of {len(expected)} in order and {len(found)}")
    with disorderly.reading() as connection:
        left = connection.execute(sa.text("SELECT count(*) FROM daybook")).scalar_one()
    if left:
        outcome.findings.append(f"{left} readings are in no ledger")
    return alike * 48


def _own_process() -> int:
    return os.getpid()
