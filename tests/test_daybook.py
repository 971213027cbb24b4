"""The daybook: what arrived, once each."""

import sqlalchemy as sa

from books import record_packets
from meterbook.daybook import Recorded, record_readings
from meterbook.domain.readings import Reading
from meterbook.intake.packet_fields import Packet
from meterbook.storage.database import Database
from meterbook.storage.tables import installations, superseded_readings


def test_two_processes_that_store_different_values_in_one_millisecond_keep_both(
    database: Database,
) -> None:
    record_packets(database, [Packet(7, 1_760_000_460, 100)])
    with database.reading() as connection:
        channel = connection.execute(sa.select(installations.c.channel_id)).scalar_one()
    starts_at, now_ms = 1_760_400_000, 1_760_500_000_000
    for amount, outcome in ((5, Recorded.NEW), (6, Recorded.REPLACED)):
        with database.writing() as connection:
            readings = [Reading(channel, starts_at, amount)]
            assert record_readings(connection, readings, received_at_ms=now_ms) == [outcome]
    with database.reading() as connection:
        assert connection.execute(sa.select(superseded_readings.c.amount)).scalars().all() == [5]
