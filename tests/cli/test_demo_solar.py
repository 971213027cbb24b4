"""The demo's solar home: two virtual devices, polled by the server within seconds."""

import time
from pathlib import Path

import sqlalchemy as sa

from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, host_health, host_measurements, hosts
from servers import running_server


def dials(database: Database) -> dict[str, int]:
    """Return the newest dial of each host's energy, by host and measurement."""
    wanted = (
        sa.select(hosts.c.description, host_measurements.c.measurement, daybook.c.amount)
        .join(host_measurements, host_measurements.c.host_id == hosts.c.id)
        .join(daybook, daybook.c.channel_id == host_measurements.c.channel_id)
        .where(host_measurements.c.measurement.like("active_energy%"))
        .order_by(daybook.c.starts_at)
    )
    with database.reading() as connection:
        return {f"{row[0]}: {row[1]}": row[2] for row in connection.execute(wanted)}


def run_until_polled(folder: Path) -> dict[str, int]:
    """Run the demo until both hosts were read, and return their dials."""
    command = ("-m", "meterbook", "demo", "--data-dir", str(folder / "demo"), "--days", "1")
    began_ms = time.time_ns() // 1_000_000
    with running_server(folder, command=command):
        database = Database(f"sqlite:///{folder / 'demo' / 'meterbook.sqlite'}")
        read = sa.select(sa.func.count()).where(host_health.c.succeeded_at_ms > began_ms)
        ends_at = time.monotonic() + 40
        while True:
            with database.reading() as connection:
                if connection.execute(read).scalar_one() == 2:
                    break
            assert time.monotonic() < ends_at, "the solar home is not polled"
            time.sleep(0.2)
        found = dials(database)
        database.close()
    return found


def test_the_solar_home_is_polled(tmp_path: Path) -> None:
    found = run_until_polled(tmp_path)
    assert len(found) == 3
    assert all(dial >= 2_345_678 for dial in found.values())
