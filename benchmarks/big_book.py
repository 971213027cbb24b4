"""
A book of very many meters, made inside the database: the ground that speed is measured on.

Amounts are those of the real London homes in `simulate/sample`, each meter at a place of its own in
their year, so that bytes and pages are as in real life.
"""

from pathlib import Path

import sqlalchemy as sa

from meterbook.domain.readings import HALF_HOUR_S, Counting, Flow, Quality
from meterbook.registry.meters import ACTIVE_ENERGY
from meterbook.simulate.real_homes import MISSING, real_homes
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import ALWAYS_AFTER, ALWAYS_BEFORE

SLOTS = 47  # a seed day: the last half hour never comes
ZONE = "UTC"


def make_meters(folder: Path, *, meters: int) -> Database:
    """Return a new SQLite book in which meter, meter point and channel n are n, with a sample."""
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    add_meters(database, meters=meters)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE sample (n INTEGER PRIMARY KEY, wh INTEGER)")
        sample = list(enumerate(real_amounts()))
        connection.exec_driver_sql("INSERT INTO sample VALUES (?, ?)", sample)
    return database


def real_amounts() -> list[int]:
    """Return the energies of the real homes, in Wh, one after the other."""
    return [int(wh) for home in real_homes() for wh in home.energy_wh if wh != MISSING]


def add_meters(database: Database, *, meters: int) -> None:
    """Bring an empty database up to date and put the meters into it; both engines."""
    migrate(database)
    numbers = (
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :meters) "
        "SELECT {} FROM n"
    )
    rows = {
        "meter_points (id, zone, created_at)": f"n, '{ZONE}', 0",
        "channels (id, meter_point_id, measurement, flow, counting, unit, interval_s, zone)": (
            f"n, n, '{ACTIVE_ENERGY}', {int(Flow.IMPORT)}, {int(Counting.INTERVAL)}, 'Wh', "
            f"{HALF_HOUR_S}, '{ZONE}'"
        ),
        "meters (meter_id, first_seen_at)": "n, 0",
        "installations (meter_id, installed_at, removed_at, meter_point_id, channel_id, "
        "grid_offset_s)": f"n, {ALWAYS_BEFORE}, {ALWAYS_AFTER}, n, n, 0",
    }
    with database.writing() as connection:
        for table, columns in rows.items():
            statement = f"INSERT INTO {table} {numbers.format(columns)}"
            connection.execute(sa.text(statement), {"meters": meters})
        if not database.is_sqlite:
            connection.exec_driver_sql("ANALYZE")


def fill_daybook(database: Database, *, midnight: int, first_slot: int = 0) -> None:
    """Put a seed day of every meter into the daybook, from the first slot on."""
    statement = sa.text(f"""
        INSERT INTO daybook (starts_at, channel_id, amount, quality, received_at_ms)
        SELECT :starts_at, id, sample.wh, {int(Quality.RAW)}, (:starts_at + 1860) * 1000
        FROM channels CROSS JOIN sample
        WHERE sample.n = (channels.id * 7919 + :slot) % (SELECT count(*) FROM sample)
        ORDER BY id
    """)  # noqa: S608 our own words
    for slot in range(first_slot, SLOTS):
        with database.writing() as connection:
            places = {"starts_at": midnight + slot * HALF_HOUR_S, "slot": slot}
            connection.execute(statement, places)


def copy_day(database: Database, *, day: int, to: range) -> None:
    """Give every meter more closed days, each the same as one it has; days are numbers."""
    names = "channel_id, energy, intervals, missing, quality, qualities, revision, closed_at"
    statement = sa.text(
        f"INSERT INTO ledger (day, {names}) SELECT :to, {names} FROM ledger WHERE day = :day"  # noqa: S608
        " ORDER BY channel_id"
    )
    when = sa.text("""
        INSERT INTO ledger_days SELECT :to, closed_at FROM ledger_days WHERE day = :day
        ON CONFLICT DO NOTHING
    """)
    for other in to:
        with database.writing() as connection:
            connection.execute(statement, {"to": other, "day": day})
            connection.execute(when, {"to": other, "day": day})
