"""
What a host is to its site: its role, and the power it is rated for.

The rated power bounds how fast its counters can rise; a sample beyond it is not believed at once.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.site_energy import SiteRole
from meterbook.registry import audit
from meterbook.registry.hosts import hold_host, host
from meterbook.storage.tables import hosts


class HostTraits(msgspec.Struct, frozen=True, rename={"rated_power_w": "rated_power_W"}):
    """One host at its site."""

    host: int
    site_role: SiteRole | None
    """null: by what it measures."""
    rated_power_w: int | None
    """null: a general bound that is generous for a home."""


_COLUMN_OF = {"site_role": hosts.c.site_role, "rated_power_W": hosts.c.rated_power_w}


def host_traits(
    connection: sa.Connection, *, host_id: int, account_id: int | None = None
) -> HostTraits:
    """
    Return what a host is to its site.

    :param account_id: whose it must be; None: anybody's.
    :raises NotThereError: if there is none.
    """
    host(connection, host_id=host_id, account_id=account_id)
    row = connection.execute(sa.select(*_COLUMN_OF.values()).where(hosts.c.id == host_id)).one()
    return HostTraits(host_id, row[0] and SiteRole(row[0]), row[1])


def change_host_traits(
    connection: sa.Connection,
    *,
    host_id: int,
    account_id: int | None = None,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> HostTraits:
    """
    Change what a host is to its site and return it.

    :param changes: named as in `HostTraits` on the wire.
    :raises NotThereError: if there is none.
    """
    hold_host(connection, host_id=host_id)
    before = host_traits(connection, host_id=host_id, account_id=account_id)
    if changes:
        connection.execute(
            sa.update(hosts)
            .where(hosts.c.id == host_id)
            .values({_COLUMN_OF[name]: changes[name] for name in changes})
        )
    after = host_traits(connection, host_id=host_id)
    audit.record_change(
        connection,
        by=by,
        subject=f"hosts/{host_id}",
        before=before,
        after=after,
        now=now,
    )
    return after
