"""Keys of meters that push packets: given, shown once, taken away."""

import sqlalchemy as sa

from meterbook.registry import audit
from meterbook.registry.meters import set_meter_key
from meterbook.registry.tokens import new_secret, secret_hash


def give_meter_key(connection: sa.Connection, *, meter_id: int, by: int | None, now: int) -> str:
    """
    Give the meter a new key and return it; from then on its packets must carry it.

    :raises UnknownMeterError: if there is no such meter.
    """
    key = new_secret()
    set_meter_key(connection, meter_id=meter_id, key_hash=secret_hash(key))
    subject = f"packet-meters/{meter_id}"
    audit.record(connection, by=by, action="give key", subject=subject, now=now)
    return key


def take_meter_key(connection: sa.Connection, *, meter_id: int, by: int | None, now: int) -> None:
    """
    Take the meter's key away; from then on only trusted networks may send for it.

    :raises UnknownMeterError: if there is no such meter.
    """
    set_meter_key(connection, meter_id=meter_id, key_hash=None)
    subject = f"packet-meters/{meter_id}"
    audit.record(connection, by=by, action="take key", subject=subject, now=now)
