"""Which hosts of a location measure the grid and which the roof, and by which channels."""

import msgspec
import sqlalchemy as sa

from meterbook.domain.readings import Counting
from meterbook.domain.site_energy import SiteRole, inferred_role
from meterbook.queries.channel_points import Channel, channels_of
from meterbook.storage.tables import hosts

# The first a host has counts: totals, never phases or tariffs, which are parts of them.
IMPORT_MEASUREMENTS = ("active_energy_consumed", "active_energy_imported", "active_energy_import")
EXPORT_MEASUREMENTS = ("active_energy_produced", "active_energy_exported", "active_energy_export")


class SiteHost(msgspec.Struct, frozen=True):
    """A host and what it is to its site."""

    host: int
    description: str
    role: SiteRole | None
    is_role_given: bool
    """Whether somebody said so; else it follows from what the host measures."""


class SiteChannels(msgspec.Struct, frozen=True):
    """The channels a site's energy is summed from."""

    hosts: list[SiteHost]
    production: list[Channel]
    grid_import: list[Channel]
    grid_export: list[Channel]


def site_channels(connection: sa.Connection, *, location_id: int) -> SiteChannels:
    """
    Return the hosts of a location with their roles, and the channels these lead to.

    A role that is given counts. Of the rest a host with both counters measures the grid, one that
    only counts what is produced the roof, one that only counts what is consumed the grid if nobody
    else does.
    """
    rows = connection.execute(
        sa.select(hosts.c.id, hosts.c.description, hosts.c.site_role, hosts.c.meter_point_id)
        .where(hosts.c.location_id == location_id, hosts.c.archived_at.is_(None))
        .order_by(hosts.c.id)
    ).all()
    points = [row.meter_point_id for row in rows if row.meter_point_id is not None]
    channels = channels_of(connection, meter_point_ids=points)

    def first(point_id: int | None, names: tuple[str, ...]) -> Channel | None:
        keys = ((point_id or 0, name, Counting.INTERVAL) for name in names)
        return next((channels[key] for key in keys if key in channels), None)

    counted = {
        row.id: (
            first(row.meter_point_id, IMPORT_MEASUREMENTS),
            first(row.meter_point_id, EXPORT_MEASUREMENTS),
        )
        for row in rows
    }
    # Those with both counters first: only then is it known whether the grid is measured.
    roles = {row.id: SiteRole(row.site_role) for row in rows if row.site_role}
    for host_id in sorted(counted, key=lambda host_id: None in counted[host_id]):
        if host_id not in roles:
            imports, exports = (channel is not None for channel in counted[host_id])
            known = SiteRole.GRID in roles.values()
            role = inferred_role(imports=imports, exports=exports, grid_is_known=known)
            roles |= {host_id: role} if role else {}

    def of(role: SiteRole, index: int) -> list[Channel]:
        picked = (counted[row.id][index] for row in rows if roles.get(row.id) is role)
        return [channel for channel in picked if channel is not None]

    return SiteChannels(
        [
            SiteHost(row.id, row.description, roles.get(row.id), row.site_role is not None)
            for row in rows
        ],
        production=of(SiteRole.PRODUCTION, 1),
        grid_import=of(SiteRole.GRID, 0),
        grid_export=of(SiteRole.GRID, 1),
    )
