"""How a host is: what it shows now, when it last answered, and what goes wrong how often."""

from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import local_time, time_zone
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.domain.readings import Quality
from meterbook.domain.units import shown, shown_unit
from meterbook.registry.host_health import failures_of_host, health_of_host
from meterbook.registry.polled_channels import states_of
from meterbook.storage.tables import (
    channels,
    host_measurements,
    hosts,
    measurements,
    meter_points,
)


class LiveReading(msgspec.Struct, frozen=True):
    """The last sample of one measurement."""

    measurement: str
    kind: MeasurementKind = msgspec.field(name="type")
    unit: str
    amount: float | None
    """Of a counter: its dial; None: never read."""
    at: str | None
    quality: str | None
    """questionable: a counter's sample that does not follow from those before."""


class FailureTotal(msgspec.Struct, frozen=True):
    """In how many polls something failed for one reason."""

    polls: int
    last_at: str


class HostStatus(msgspec.Struct, frozen=True):
    """The answer to `/user/hosts/{id}/status`; instants on the meter point's clock."""

    host: int
    timezone: str
    last_attempt: str | None
    last_success: str | None
    """When anything could be read."""
    failures_in_a_row: int
    """Polls since then that brought nothing."""
    failures: dict[str, FailureTotal]
    """By kind, since ever."""
    latency_ms: int | None
    mean_latency_ms: float | None
    """Of the last polls, moving."""
    failing: dict[str, str]
    """What could not be read in the last poll, and why."""
    measurements: list[LiveReading]
    """What is assigned."""


def host_status(connection: sa.Connection, *, host_id: int, default_zone: str) -> HostStatus:
    """
    Return how a host is.

    :param default_zone: of a host that has no meter point yet.
    """
    place = sa.select(meter_points.c.zone).join(hosts, hosts.c.meter_point_id == meter_points.c.id)
    zone_name = connection.execute(place.where(hosts.c.id == host_id)).scalar() or default_zone
    zone = time_zone(zone_name)
    health = health_of_host(connection, host_id=host_id)
    failures = failures_of_host(connection, host_id=host_id)

    def text(at_ms: int | None) -> str | None:
        return None if at_ms is None else local_time(at_ms // 1000, zone).isoformat()

    mean_us = health.mean_latency_us if health else None
    return HostStatus(
        host=host_id,
        timezone=zone_name,
        last_attempt=text(health.attempted_at_ms) if health else None,
        last_success=text(health.succeeded_at_ms) if health else None,
        failures_in_a_row=health.failures_in_a_row if health else 0,
        failures={
            failure.value: FailureTotal(counted.polls, text(counted.last_at_ms) or "")
            for failure, counted in failures.items()
        },
        latency_ms=health.latency_ms if health else None,
        mean_latency_ms=None if mean_us is None else mean_us / 1000,
        failing={name: failure.value for name, failure in health.failing.items()} if health else {},
        measurements=[
            LiveReading(
                row.measurement,
                MeasurementKind(row.kind),
                shown_unit(row.unit),
                None if state is None else shown(state.amount),
                None if state is None else text(state.sampled_at_ms),
                None if state is None else Quality(state.quality).word,
            )
            for row, state in _live(connection, host_id)
        ],
    )


def _live(
    connection: sa.Connection, host_id: int
) -> list[tuple[sa.Row[*tuple[Any, ...]], sa.Row[*tuple[Any, ...]] | None]]:
    wanted = (
        sa.select(
            host_measurements.c.measurement,
            measurements.c.kind,
            channels.c.unit,
            channels.c.id.label("channel_id"),
        )
        .join(measurements, measurements.c.name == host_measurements.c.measurement)
        .join(channels, channels.c.id == host_measurements.c.channel_id)
        .where(host_measurements.c.host_id == host_id)
        .order_by(host_measurements.c.id)
    )
    rows = connection.execute(wanted).all()
    states = states_of(connection, [row.channel_id for row in rows])
    return [(row, states.get(row.channel_id)) for row in rows]
