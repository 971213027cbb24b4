"""
The demo's book: its accounts, its meters, and every day up to now.

What the meters sent follows from the seed, so filling may be done again over what is there:
`demo.json` beside the database says how far it got, and that the book is a demo's at all.
"""

import secrets
from pathlib import Path

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import bulk_load, daybook
from meterbook.domain.local_days import local_day, midnight
from meterbook.domain.readings import Quality, Reading
from meterbook.registry.accounts import Role, account_by_name, add_account
from meterbook.registry.meters import add_meters, claim_meters, installations_of
from meterbook.registry.passwords import password_hash
from meterbook.simulate.demo_homes import (
    CONFLICT_METER,
    HOUSEHOLD_METERS,
    UNCLAIMED_METER,
    ZONE,
    conflicting_reading,
    demo_homes,
    demo_readings,
)
from meterbook.storage.database import Database
from meterbook.storage.files import written_atomically

DEMO_FILE = "demo.json"
ACCOUNTS = {
    "household": (Role.HOUSEHOLD, "demo-household"),
    "operator": (Role.OPERATOR, "demo-operator"),
    "admin": (Role.ADMIN, "demo-admin"),
}
"""Name to role and password; fixed, because the demo answers this machine only."""
_LANDLORD = "estate"


class NotADemoError(ValueError):
    """The folder holds a book that is not a demo's: it is left alone."""


class DemoState(msgspec.Struct, frozen=True):
    """What `demo.json` says."""

    created_at: int
    filled_until: int | None = None
    """None: the first filling has not ended."""


def demo_state(data_dir: Path, *, now: int) -> DemoState:
    """
    Return how far the folder's demo got; an empty folder becomes a demo's.

    :raises NotADemoError: if there is another book in the folder.
    """
    file = data_dir / DEMO_FILE
    if file.is_file():
        try:
            return msgspec.json.decode(file.read_bytes(), type=DemoState)
        except msgspec.DecodeError as error:
            raise NotADemoError(f"{file}: {error}") from None
    if data_dir.is_dir() and any(data_dir.iterdir()):
        raise NotADemoError(f"{data_dir} is not empty and not a demo's: choose another --data-dir")
    state = DemoState(created_at=now)
    _write_state(data_dir, state)
    return state


def fill(database: Database, *, data_dir: Path, days: int, now: int) -> DemoState:
    """
    Make accounts and meters where they are not yet, and every reading sent until now.

    :param days: how far a new demo goes back.
    :raises NotADemoError: if there is another book in the folder.
    """
    state = demo_state(data_dir, now=now)
    with database.writing() as connection:
        if account_by_name(connection, username=_LANDLORD) == (None, None):
            _add_accounts_and_meters(connection, now=now)
    known_until = state.filled_until
    if known_until is None:
        known_until = state.created_at - days * 86_400
    _load(database, state, begins_at=midnight(local_day(known_until, ZONE), ZONE), now=now)
    if state.filled_until is None:
        _record_conflict(database, state, now=now)
    filled = msgspec.structs.replace(state, filled_until=now)
    _write_state(data_dir, filled)
    return filled


def _add_accounts_and_meters(connection: sa.Connection, *, now: int) -> None:
    homes = demo_homes()
    add_meters(
        connection,
        [home.meter_id for home in homes],
        zone=ZONE.key,
        now=now,
        regions={home.meter_id: home.region for home in homes if home.meter_id != UNCLAIMED_METER},
    )
    # Nobody signs in as the landlord: it only owns what is neither the household's nor unclaimed.
    passwords = {**ACCOUNTS, _LANDLORD: (Role.HOUSEHOLD, secrets.token_hex(32))}
    ids = {
        name: add_account(
            connection,
            username=name,
            email=f"{name}@demo.invalid",
            password_hash=password_hash(password),
            role=role,
            now=now,
        ).id
        for name, (role, password) in passwords.items()
    }
    others = {home.meter_id for home in homes} - {*HOUSEHOLD_METERS, UNCLAIMED_METER}
    claim_meters(connection, HOUSEHOLD_METERS, account_id=ids["household"], now=now)
    claim_meters(connection, others, account_id=ids[_LANDLORD], now=now)


def _load(database: Database, state: DemoState, *, begins_at: int, now: int) -> None:
    readings = demo_readings(created_at=state.created_at, begins_at=begins_at, ends_at=now)
    meter_ids, index = np.unique(readings.meter_id, return_inverse=True)
    channel_of = _channels(database, meter_ids.tolist())
    bulk_load.load(
        database,
        channel_id=np.array([channel_of[number] for number in meter_ids.tolist()])[index],
        starts_at=readings.starts_at,
        amount=readings.energy_wh,
        quality=np.full(len(index), int(Quality.RAW)),
        zone=ZONE,
        now=now,
    )


def _record_conflict(database: Database, state: DemoState, *, now: int) -> None:
    starts_at, *amounts = conflicting_reading(created_at=state.created_at)
    channel_id = _channels(database, [CONFLICT_METER])[CONFLICT_METER]
    with database.writing() as connection:
        for number, amount in enumerate(amounts):
            daybook.record_readings(
                connection,
                [Reading(channel_id, starts_at, amount)],
                received_at_ms=now * 1000 + number + 1,
            )


def _channels(database: Database, meter_ids: list[int]) -> dict[int, int]:
    with database.reading() as connection:
        known = installations_of(connection, meter_ids)
    return {number: places[-1].channel_id for number, places in known.items()}


def _write_state(data_dir: Path, state: DemoState) -> None:
    with written_atomically(data_dir / DEMO_FILE) as out:
        out.write(msgspec.json.encode(state) + b"\n")
