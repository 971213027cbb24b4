"""What tests of the books share: recording packets, waiting for locks, what must be the same."""

import threading
import time
from collections.abc import Iterable

import sqlalchemy as sa

from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Answer, Arrival, PacketRecorder
from meterbook.storage.database import Database
from meterbook.storage.tables import installations, ledger


def record_packets(
    database: Database, packets: Iterable[Packet], *, zone: str = "UTC"
) -> list[Answer]:
    """Record packets of meters without keys, as one batch."""
    recorder = PacketRecorder(database, default_zone=zone)
    return recorder.record([Arrival(packet, None) for packet in packets])


def ledger_content(database: Database) -> list[tuple[object, ...]]:
    """Return what every arrival order must lead to, bit for bit; revisions and times may differ."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(
                installations.c.meter_id,
                ledger.c.day,
                ledger.c.energy,
                ledger.c.intervals,
                ledger.c.missing,
                ledger.c.quality,
                ledger.c.qualities,
            )
            .join(installations, installations.c.channel_id == ledger.c.channel_id)
            .order_by(installations.c.meter_id, ledger.c.day)
        )
        return [tuple(bytes(c) if isinstance(c, memoryview) else c for c in row) for row in rows]


def rows_in(database: Database, *tables: sa.Table) -> list[int]:
    """Return how many rows each table has."""
    with database.reading() as connection:
        counted = [sa.select(sa.func.count()).select_from(table) for table in tables]
        return [connection.execute(count).scalar_one() for count in counted]


def wait_until_done_or_locked_out(database: Database, running: threading.Thread) -> None:
    """Wait for a thread, on PostgreSQL, until it is over or waits for somebody's lock."""
    waiting = sa.text("""
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """)
    while running.is_alive():
        with database.reading() as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
