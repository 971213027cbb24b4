"""Locations that have hosts, with how each host is: the way to the pages of sites and hosts."""

from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.host_polls import PollFailure
from meterbook.storage.tables import host_health, hosts, locations, meter_models

SITES_MAX = 500


class ListedHost(msgspec.Struct, frozen=True):
    """A host of a site."""

    host: int
    description: str
    meter_model: str
    succeeded_at: int | None
    """When something could be read last, UTC epoch seconds; None: never."""
    failures_in_a_row: int
    added_at: int
    """UTC epoch seconds."""
    failure: PollFailure | None
    """Why something could not be read in the last poll; None: all could."""


class ListedSite(msgspec.Struct, frozen=True):
    """A location with its hosts."""

    location: int
    address: str
    hosts: list[ListedHost]


def listed_sites(
    connection: sa.Connection, *, account_id: int | None, location_id: int | None = None
) -> list[ListedSite]:
    """
    Return the locations that have hosts, by id, at most five hundred.

    :param account_id: whose they must be; None: anybody's.
    :param location_id: only this one.
    """
    placed = (
        sa.select(locations.c.id)
        .where(locations.c.id.in_(sa.select(hosts.c.location_id).where(_present)))
        .order_by(locations.c.id)
        .limit(SITES_MAX)
    )
    if account_id is not None:
        placed = placed.where(locations.c.account_id == account_id)
    if location_id is not None:
        placed = placed.where(locations.c.id == location_id)
    rows = connection.execute(
        sa.select(
            locations.c.id.label("location_id"),
            locations.c.street,
            locations.c.number,
            locations.c.city,
            hosts.c.id,
            hosts.c.description,
            meter_models.c.name,
            host_health.c.succeeded_at_ms,
            host_health.c.failures_in_a_row,
            host_health.c.failing,
            hosts.c.created_at,
        )
        .join(hosts, hosts.c.location_id == locations.c.id)
        .join(meter_models, meter_models.c.id == hosts.c.meter_model_id)
        .outerjoin(host_health, host_health.c.host_id == hosts.c.id)
        .where(locations.c.id.in_(placed), _present)
        .order_by(locations.c.id, hosts.c.id)
    )
    sites: dict[int, ListedSite] = {}
    for row in rows:
        address = f"{row.street} {row.number}, {row.city}"
        site = sites.setdefault(row.location_id, ListedSite(row.location_id, address, []))
        site.hosts.append(_host(row))
    return list(sites.values())


def _host(row: sa.Row[*tuple[Any, ...]]) -> ListedHost:
    read_at_ms = row.succeeded_at_ms
    read_at = None if read_at_ms is None else read_at_ms // 1000
    failing = msgspec.json.decode(row.failing or "{}", type=dict[str, PollFailure])
    return ListedHost(
        row.id,
        row.description,
        row.name,
        read_at,
        row.failures_in_a_row or 0,
        row.created_at,
        next(iter(failing.values()), None),
    )


_present = hosts.c.archived_at.is_(None)
