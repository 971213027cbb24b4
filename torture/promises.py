"""
What was acknowledged, and whether the book still has it: once, with its value.

What is true is the ledger with the daybook laid over it, read here by SQL of its own, so that a
fault in the questions that people ask cannot hide a loss.
"""

from collections import Counter
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import interval_starts, numbered_day
from meterbook.ledger import decode_intervals
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, daybook, installations, ledger

Key = tuple[int, int]
"""meter_id, starts_at."""


class Promises(msgspec.Struct):
    """What a client sent and what the server acknowledged of it."""

    sent: dict[Key, int] = msgspec.field(default_factory=dict)
    """Energy in Wh; each key is sent with one value only."""
    acknowledged: dict[Key, int] = msgspec.field(default_factory=dict)


class Kept(msgspec.Struct, frozen=True):
    """How many promises the book keeps, and what is wrong with it."""

    found: int
    findings: list[str]


def kept(database: Database, promises: Promises) -> Kept:
    """Look up every promise and run every check of `meterbook verify`."""
    energy = stored_energy(database)
    lost = [key for key, wh in promises.acknowledged.items() if energy.get(key) != wh]
    foreign = [key for key, wh in energy.items() if promises.sent.get(key) != wh]
    findings = [f"meter {m}, {s}: acknowledged, and not there with its value" for m, s in lost]
    findings += [f"meter {m}, {s}: there with a value nobody sent" for m, s in foreign]
    return Kept(len(promises.acknowledged) - len(lost), findings + broken_invariants(database))


def broken_invariants(database: Database) -> list[str]:
    """Return what `meterbook verify` would print."""
    findings: list[str] = []
    for check in CHECKS.values():
        with database.reading() as connection:
            findings += check(connection)
    return findings


def stored_energy(database: Database) -> dict[Key, int]:
    """Return the energy of each meter's intervals, in Wh: the daybook laid over the ledger."""
    energy: dict[Key, int] = {}
    with database.reading() as connection:
        closed = connection.execute(
            sa.select(installations.c.meter_id, channels.c.zone, ledger.c.day, ledger.c.intervals)
            .join(installations, installations.c.channel_id == ledger.c.channel_id)
            .join(channels, channels.c.id == ledger.c.channel_id)
        )
        for meter_id, zone, day, intervals in closed:
            starts = interval_starts(numbered_day(day), ZoneInfo(zone))
            amounts = decode_intervals(bytes(intervals))
            for starts_at, amount in zip(starts, amounts, strict=True):
                if amount is not None:
                    energy[meter_id, starts_at] = amount
        opened = connection.execute(
            sa.select(installations.c.meter_id, daybook.c.starts_at, daybook.c.amount).join(
                installations, installations.c.channel_id == daybook.c.channel_id
            )
        ).all()
    twice = Counter((row[0], row[1]) for row in opened)
    # An interval that is in the daybook twice has no value anybody sent.
    energy |= {(row[0], row[1]): row[2] for row in opened}
    return energy | {key: -count for key, count in twice.items() if count > 1}


def differing(found: Mapping[Key, int], expected: Mapping[Key, int]) -> list[str]:
    """Return how two books differ, interval by interval."""
    return [
        f"meter {key[0]}, {key[1]}: {found.get(key)} instead of {expected.get(key)} Wh"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]
