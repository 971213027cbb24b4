"""
What others call a meter: an NMI, an MPRN, the equipment number in a telegram.

A meter that is only known by such a name gets a number of its own when its first file comes in,
from 900,000,001 upwards, and a key that nobody has: a packet that happens to carry that number is
refused until an operator gives the meter a key of its own.
"""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from meterbook.domain.meter_ids import METER_ID_MAX, MeterIdError, meter_id
from meterbook.registry.meters import add_meters
from meterbook.storage.dialects import hold_until_commit, insert_rows
from meterbook.storage.file_tables import foreign_ids
from meterbook.storage.tables import meter_keys, meters

FIRST_NUMBER = 900_000_001
_LOCK_NUMBER = 0x4D424649  # "MBFI": one transaction at a time gives out numbers
_NOBODYS_KEY = "no packets"  # is the SHA-256 of nothing
_NAMES_AT_ONCE = 500

ForeignId = tuple[str, str]
"""Scheme and name."""


class ForeignIdTakenError(ValueError):
    """The name belongs to another meter."""

    def __init__(self, foreign_id: ForeignId, *, meter_id: int) -> None:
        super().__init__(f"{foreign_id[0]} {foreign_id[1]} is meter {meter_id} already")
        self.meter_id = meter_id


def meters_named(connection: sa.Connection, wanted: Collection[ForeignId]) -> dict[ForeignId, int]:
    """Return the meter of each name that is known."""
    found: dict[ForeignId, int] = {}
    by_scheme: dict[str, list[str]] = {}
    for scheme, name in sorted(set(wanted)):
        by_scheme.setdefault(scheme, []).append(name)
    for scheme, names in by_scheme.items():
        for begin in range(0, len(names), _NAMES_AT_ONCE):
            rows = connection.execute(
                sa.select(foreign_ids.c.foreign_id, foreign_ids.c.meter_id).where(
                    foreign_ids.c.scheme == scheme,
                    foreign_ids.c.foreign_id.in_(names[begin : begin + _NAMES_AT_ONCE]),
                )
            )
            found |= {(scheme, row.foreign_id): row.meter_id for row in rows}
    return found


def names_of(connection: sa.Connection, *, meter_id: int) -> list[ForeignId]:
    """Return what others call the meter."""
    rows = connection.execute(
        sa.select(foreign_ids.c.scheme, foreign_ids.c.foreign_id)
        .where(foreign_ids.c.meter_id == meter_id)
        .order_by(foreign_ids.c.scheme, foreign_ids.c.foreign_id)
    )
    return [(row.scheme, row.foreign_id) for row in rows]


def name_meters(connection: sa.Connection, named: Mapping[ForeignId, int], *, now: int) -> None:
    """
    Keep that these names are these meters.

    :raises ForeignIdTakenError: if one of them is another meter's already.
    """
    known = meters_named(connection, named)
    for foreign_id, number in known.items():
        if named[foreign_id] != number:
            raise ForeignIdTakenError(foreign_id, meter_id=number)
    rows = [(*name, number, now) for name, number in named.items() if name not in known]
    insert_rows(connection, foreign_ids, rows)


def add_named_meters(
    connection: sa.Connection, names: Collection[ForeignId], *, zone: str, now: int
) -> dict[ForeignId, int]:
    """
    Make an unclaimed meter for each name nobody knows, and return their numbers.

    :raises sqlalchemy.exc.IntegrityError: if one of them is known already.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    hold_until_commit(connection, lock_number=_LOCK_NUMBER)
    numbers = _free_numbers(connection, len(wanted))
    add_meters(connection, numbers, zone=zone, now=now)
    insert_rows(connection, meter_keys, [(number, _NOBODYS_KEY) for number in numbers])
    named = dict(zip(wanted, numbers, strict=True))
    name_meters(connection, named, now=now)
    return named


def _free_numbers(connection: sa.Connection, count: int) -> list[int]:
    taken = set(
        connection.scalars(sa.select(meters.c.meter_id).where(meters.c.meter_id >= FIRST_NUMBER))
    )
    free = (n for n in range(FIRST_NUMBER, METER_ID_MAX + 1) if n not in taken)
    return [next(free) for _ in range(count)]


def meter_called(connection: sa.Connection, name: str) -> int | None:
    """Return the meter that is called so by anybody, or has that number; None: no one meter."""
    found = set(
        connection.scalars(
            sa.select(foreign_ids.c.meter_id).where(foreign_ids.c.foreign_id == name)
        )
    )
    if not found:
        try:
            return meter_id(name)
        except MeterIdError:
            return None
    return found.pop() if len(found) == 1 else None
