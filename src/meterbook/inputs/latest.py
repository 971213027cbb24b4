"""The newest number of every input of a device: devices ask where they left off."""

import sqlalchemy as sa

from meterbook.domain.input_mappings import MILLIONTHS
from meterbook.storage.device_tables import device_inputs, devices


def latest_by_device(
    connection: sa.Connection, *, scheme: str, sent_by: int, foreign_id: str | None = None
) -> dict[str, dict[str, tuple[int, float]]]:
    """
    Return by device and input when it sent last, UTC epoch milliseconds, and what.

    :param sent_by: account of the key; 0: no key.
    :param foreign_id: of one device; None: of all of the sender's.
    """
    wanted = (
        sa.select(
            devices.c.foreign_id,
            device_inputs.c.name,
            device_inputs.c.last_at_ms,
            device_inputs.c.last_amount,
        )
        .join(device_inputs, device_inputs.c.device_id == devices.c.id)
        .where(
            devices.c.scheme == scheme,
            devices.c.sent_by == sent_by,
            device_inputs.c.last_at_ms.is_not(None),
        )
        .order_by(devices.c.foreign_id, device_inputs.c.name)
    )
    if foreign_id is not None:
        wanted = wanted.where(devices.c.foreign_id == foreign_id)
    found: dict[str, dict[str, tuple[int, float]]] = {}
    for row in connection.execute(wanted):
        found.setdefault(row.foreign_id, {})[row.name] = (
            row.last_at_ms,
            row.last_amount / MILLIONTHS,
        )
    return found
