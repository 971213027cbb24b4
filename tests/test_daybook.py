"""The daybook: what arrived, once each."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.daybook import Recorded, record_new_packets, record_readings
from meterbook.daybook.recording import PacketRow
from meterbook.domain.readings import Reading
from meterbook.intake.packet_fields import Packet
from meterbook.registry.meters import set_meter_key
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, installations, superseded_readings


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


KEYED, UNKNOWN = 1000, 2000  # added to a meter's number
STARTS_AT = 1_760_400_000


@pytest.mark.parametrize("count", [1, 8, 9, 256, 257], ids=lambda count: f"{count} at once")
def test_of_a_batch_of_any_size_what_needs_no_second_look_is_stored(
    database: Database, count: int
) -> None:
    numbers = [*range(1, count + 1), *range(KEYED + 1, KEYED + 4)]
    record_packets(database, [Packet(number, STARTS_AT - 1740, 1) for number in numbers])
    keyed = [number for number in numbers if number > KEYED]
    with database.writing() as connection:
        for number in keyed:
            set_meter_key(connection, meter_id=number, key_hash="right")
        connection.execute(sa.update(installations).values(installed_at=STARTS_AT - 1800))
    rows = [(number, STARTS_AT, 10 * number, None) for number in range(1, count + 1)]
    assert stored(database, rows) == {(number, 10 * number) for number in range(1, count + 1)}
    assert stored(database, rows) == set()  # they are there
    told_apart = [
        (KEYED + 1, STARTS_AT, 1, None),
        (KEYED + 2, STARTS_AT, 2, "wrong"),
        (KEYED + 3, STARTS_AT, 3, "right"),
        (1, STARTS_AT + 1800, 4, "right"),
        (UNKNOWN, STARTS_AT, 5, None),
        (KEYED + 3, STARTS_AT - 3600, 6, "right"),  # before it was installed
    ]
    assert stored(database, told_apart) == {(KEYED + 3, 3)}
    assert stored(database, [(1, STARTS_AT + 3600, 7, None)], grid_offset_s=900) == set()
    assert stored(database, [(1, STARTS_AT + 3600, 7, None)] * 2) == {(1, 7)}


def stored(
    database: Database, rows: Sequence[PacketRow], *, grid_offset_s: int = 0
) -> set[tuple[int, int]]:
    """Return (meter_id, amount) of what was stored of the rows, and make sure it was counted."""
    asked = sa.select(daybook, installations.c.meter_id).join(
        installations, installations.c.channel_id == daybook.c.channel_id
    )

    def all_rows() -> set[sa.Row[tuple[int, ...]]]:
        with database.reading() as connection:
            return {*connection.execute(asked)}

    before = all_rows()
    count = record_new_packets(
        database, rows, grid_offset_s=grid_offset_s, received_at_ms=1_760_500_000_000
    )
    new = all_rows() - before
    assert len(new) == count
    return {(row.meter_id, row.amount) for row in new}
