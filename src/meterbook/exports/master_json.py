"""
Master database JSON out, the seed's 1.4 form, a meter a line.

    {
    "999999999": {"previous_day": {"00:31": 8.33, ...}, "2025-02-11": 187.14, "2025-02-10": ...},
    ...
    }

Totals of all closed days, newest first; `previous_day` holds the half-hours of the newest of
them, none where only its total is known. Names and FINs only for whoever hands in their key.
"""

from typing import BinaryIO

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import numbered_day
from meterbook.domain.packet_stamps import day_stamps
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.master_meters import MasterMeterDays, master_meters
from meterbook.registry.personal_data import PersonalData, customer_of


def write_master_database(
    connection: sa.Connection, out: BinaryIO, *, personal: PersonalData | None = None
) -> int:
    """
    Write the file and return the number of meters in it.

    :param personal: decrypts names and FINs; None leaves them out.
    """
    count = 0
    out.write(b"{")
    for meter in master_meters(connection):
        entry: dict[str, object] = {}
        if personal is not None:
            name, fin = customer_of(connection, personal, meter_point_id=meter.meter_point_id)
            entry |= {"name": name} if name is not None else {}
            entry |= {"fin_no": fin} if fin is not None else {}
        entry["previous_day"] = _previous_day(meter)
        for day, energy_wh in meter.totals.items():
            entry[numbered_day(day).isoformat()] = wh_to_kwh(energy_wh)
        separator = b",\n" if count else b"\n"
        out.write(separator + b'"%d": ' % meter.meter_id + msgspec.json.encode(entry))
        count += 1
    out.write(b"\n}\n")
    return count


def _previous_day(meter: MasterMeterDays) -> dict[str, float]:
    if meter.newest is None:
        return {}
    stamps = day_stamps(numbered_day(meter.newest.day), meter.zone)
    amounts = meter.newest.intervals
    if len(stamps) != len(amounts):
        return {}
    return {
        stamp: wh_to_kwh(amount)
        for stamp, amount in zip(stamps, amounts, strict=True)
        if amount is not None
    }
