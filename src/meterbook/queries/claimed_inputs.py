"""What inputs of devices were claimed as: their channel, and the meter that shows it."""

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from meterbook.domain.readings import Flow
from meterbook.storage.device_tables import device_inputs
from meterbook.storage.tables import accounts, channels, installations


class ClaimedAs(msgspec.Struct, frozen=True):
    """Where the readings of an input go."""

    measurement: str
    flow: Flow
    meter_id: int | None
    """The meter whose page shows them; None: none has a number."""


def claimed_inputs(
    connection: sa.Connection, *, device_ids: Collection[int]
) -> dict[int, ClaimedAs]:
    """Return by input what the devices' claimed ones are."""
    newest = (
        sa.select(installations.c.meter_id)
        .where(installations.c.meter_point_id == channels.c.meter_point_id)
        .order_by(installations.c.installed_at.desc())
        .limit(1)
        .correlate(channels)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(device_inputs.c.id, channels.c.measurement, channels.c.flow, newest)
        .join(channels, channels.c.id == device_inputs.c.channel_id)
        .where(device_inputs.c.device_id.in_(sorted(device_ids)))
    )
    return {row[0]: ClaimedAs(row[1], Flow(row[2]), row[3]) for row in rows}


def account_names(connection: sa.Connection, *, account_ids: Collection[int]) -> dict[int, str]:
    """Return the accounts' names by id."""
    rows = connection.execute(
        sa.select(accounts.c.id, accounts.c.username).where(accounts.c.id.in_(sorted(account_ids)))
    )
    return {row[0]: row[1] for row in rows}
