"""
Recovery JSON, the seed's 1.2 and 1.3: `{"999999999": {"00:31": 4.5, ...}}`, one file a day.

A file holds the whole day as it stands, also where part of it is in the ledger already: so the
newest file alone is enough to restore the day.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from meterbook.domain.packet_stamps import day_stamps
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.meter_days import meter_days
from meterbook.storage.files import written_atomically


def write_recovery_file(
    connection: sa.Connection, path: Path, *, day: date, zones: list[ZoneInfo]
) -> int:
    """Write one day's file atomically and return the number of readings in it."""
    with written_atomically(path) as out:
        return write_recovery(connection, out, day=day, zones=zones)


def write_recovery(
    connection: sa.Connection, out: BinaryIO, *, day: date, zones: list[ZoneInfo]
) -> int:
    """Write one day, a meter a line, and return the number of readings in it."""
    count = 0
    out.write(b"{")
    separator = b"\n"
    for meter_id, stamped in _meters(connection, day=day, zones=zones):
        out.write(separator + b'"%d": ' % meter_id + msgspec.json.encode(stamped))
        separator = b",\n"
        count += len(stamped)
    out.write(b"\n}\n")
    return count


def _meters(
    connection: sa.Connection, *, day: date, zones: list[ZoneInfo]
) -> Iterator[tuple[int, dict[str, float]]]:
    for zone in zones:
        stamps = day_stamps(day, zone)
        for meter in meter_days(connection, day=day, zone=zone):
            amounts = meter.closed.intervals
            if len(amounts) == len(stamps):  # a day known only as a total has no half-hours
                yield (
                    meter.meter_id,
                    {
                        stamp: wh_to_kwh(amount)
                        for stamp, amount in zip(stamps, amounts, strict=True)
                        if amount is not None
                    },
                )
