"""What tests of polled hosts share: a home with a host, and polls of it."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from callers import AnyPassword
from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.readings import Counting
from meterbook.intake.host_recorder import HostRecorder
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.catalogue import load_catalogue
from meterbook.registry.host_measurements import assign_measurements
from meterbook.registry.host_traits import change_host_traits
from meterbook.registry.hosts import add_host
from meterbook.registry.locations import add_location
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, daybook, hosts, meter_models

MIDNIGHT = 1_738_972_800  # 2025-02-08
POLLS_A_BATCH = 4
IMPORTED, EXPORTED = "active_energy_consumed", "active_energy_produced"
Rows = dict[int, tuple[int, int]]
"""By start: amount and quality."""


class Home(msgspec.Struct, frozen=True):
    """An account with a location and hosts at it."""

    account_id: int
    location_id: int
    hosts: tuple[int, ...]


def home(
    database: Database,
    *,
    models: Sequence[str] = ("sdm630",),
    measurements: Sequence[str] = (IMPORTED, EXPORTED, "active_power"),
    zone: str = "UTC",
    name: str = "home",
    now: int = 1_700_000_000,
) -> Home:
    """Make a home with a host of each model, all with these measurements assigned."""
    with database.writing() as connection:
        load_catalogue(connection, catalogued_models(), now=now)
        ids = {row.name: row.id for row in connection.execute(sa.select(meter_models))}
        account = add_account(
            connection,
            username=name,
            email=f"{name}@example.com",
            password_hash=AnyPassword.stored(),
            role=Role.HOUSEHOLD,
            now=now,
        )
        place = {"street": "S", "number": "1", "city": "C", "zip_code": "Z", "user": account.id}
        location = add_location(connection, fields=place, by=None, now=now)
        first = connection.execute(sa.select(sa.func.coalesce(sa.func.max(hosts.c.id), 0)))
        offset = first.scalar_one()
        made = []
        for index, model in enumerate(models):
            fields = {
                "ip": "10.0.0.1", "port": 502, "slave_address": offset + index + 1,
                "description": model, "user": account.id, "location": location.id,
                "meter": ids[model],
            }  # fmt: skip
            host = add_host(connection, fields=fields, by=None, now=now)
            assign_measurements(
                connection, host_id=host.id, names=measurements, zone=zone, by=None, now=now
            )
            made.append(host.id)
    return Home(account.id, location.id, tuple(made))


def poll(host_id: int, at: float, amounts: Mapping[str, int | None]) -> HostPoll:
    """Return a poll of that instant, UTC epoch seconds, in which everything was read."""
    return HostPoll(host_id, round(at * 1000), dict(amounts), {}, 0)


def eventful_polls(host_id: int) -> list[HostPoll]:
    """Return two hours of polls with a glitch, an outage and a reset."""
    minutes = [minute for minute in range(120) if not 40 <= minute < 60]
    dials = {
        minute: 9_000_000 + 25 * minute - (9_000_000 if minute > 80 else 0) for minute in minutes
    }
    dials[20] = 0
    return [
        poll(host_id, MIDNIGHT + 60 * m, {IMPORTED: dials[m], EXPORTED: 7 * m, "active_power": m})
        for m in minutes
    ]


def solar_home_until(database: Database, *, now: int) -> Home:
    """
    Make anna's solar home, with meters at the grid and the roof, read for two hours until now.

    A minute brings 50 Wh from the roof, 10 Wh from the grid and takes 20 Wh to it.
    """
    made = home(
        database,
        models=["sdm630", "sdm120"],
        measurements=[IMPORTED, EXPORTED, "active_power"],
        name="anna",
    )
    grid, roof = made.hosts
    polls: list[HostPoll] = []
    for at in range(now - 7_200, now, 60):
        minute = (at - now + 7_200) // 60
        amounts = {IMPORTED: 5_000 + 10 * minute, EXPORTED: 7_000 + 20 * minute}
        polls.append(poll(grid, at, amounts | {"active_power": -600_000 + minute}))
        polls.append(poll(roof, at, {EXPORTED: 9_000 + 50 * minute, "active_power": 3_000_000}))
    polls.append(HostPoll(grid, now * 1000, {}, {IMPORTED: PollFailure.TIMEOUT}, 3_000))
    HostRecorder(database).record(polls)
    role = {"site_role": "production"}
    with database.writing() as connection:
        change_host_traits(connection, host_id=roof, changes=role, by=None, now=now)
    return made


def open_rows(database: Database, host_id: int, measurement: str, counting: Counting) -> Rows:
    """Return what the daybook has of a host's measurement."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(daybook.c.starts_at, daybook.c.amount, daybook.c.quality)
            .join(channels, channels.c.id == daybook.c.channel_id)
            .join(hosts, hosts.c.meter_point_id == channels.c.meter_point_id)
            .where(
                hosts.c.id == host_id,
                channels.c.measurement == measurement,
                channels.c.counting == int(counting),
            )
            .order_by(daybook.c.starts_at)
        )
        return {row[0]: (row[1], row[2]) for row in rows}
