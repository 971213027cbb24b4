"""
How polling a host goes: when it last answered, how fast, and what went wrong how often.

`attempted_at_ms` is also the line between what is recorded and what is not: a poll that is not
newer is one delivered again.
"""

from collections.abc import Iterable, Mapping

import msgspec
import sqlalchemy as sa

from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.storage.dialects import batch, row_lock
from meterbook.storage.tables import host_failures, host_health

_MEAN_OF = 16  # polls: a quarter of an hour at one a minute


class HostHealth(msgspec.Struct, frozen=True):
    """What the last polls of a host were like."""

    attempted_at_ms: int = -1
    succeeded_at_ms: int | None = None
    """When something could be read."""
    failures_in_a_row: int = 0
    latency_ms: int | None = None
    """Of the last poll that was answered."""
    mean_latency_us: int | None = None
    """Of the last ones, moving."""
    failing: Mapping[str, PollFailure] = {}
    """What could not be read in the last poll, and why."""


class FailureCount(msgspec.Struct, frozen=True):
    """In how many polls something failed for one reason."""

    polls: int
    last_at_ms: int


_decode_failing = msgspec.json.Decoder(dict[str, PollFailure]).decode


def health_after(health: HostHealth, poll: HostPoll) -> HostHealth:
    """Return the health with one more poll; it succeeded if anything could be read."""
    if poll.failures and not poll.amounts:
        return msgspec.structs.replace(
            health,
            attempted_at_ms=poll.polled_at_ms,
            failures_in_a_row=health.failures_in_a_row + 1,
            failing=poll.failures,
        )
    latency_us = poll.latency_ms * 1000
    mean_us = latency_us if health.mean_latency_us is None else health.mean_latency_us
    return HostHealth(
        attempted_at_ms=poll.polled_at_ms,
        succeeded_at_ms=poll.polled_at_ms,
        latency_ms=poll.latency_ms,
        mean_latency_us=mean_us + (latency_us - mean_us) // _MEAN_OF,
        failing=poll.failures,
    )


def hold_hosts(connection: sa.Connection, host_ids: Iterable[int]) -> dict[int, HostHealth]:
    """
    Let nobody else record polls of these hosts until the commit; return their health.

    Left out are hosts that are not there, archived ones, and those nothing is read from.
    """
    columns = {"id": "bigint"}
    source, parameters = batch(connection, columns=columns, rows=[(i,) for i in sorted(host_ids)])
    lock = row_lock(connection)
    statement = f"""
        SELECT hosts.id FROM {source} CROSS JOIN hosts
        WHERE hosts.id = batch.id AND hosts.archived_at IS NULL
              AND hosts.meter_point_id IS NOT NULL
        ORDER BY hosts.id {lock and lock + " OF hosts"}
    """  # noqa: S608 built from our own names only
    there = connection.scalars(sa.text(statement), parameters).all()
    known = connection.execute(sa.select(host_health).where(host_health.c.host_id.in_(there)))
    return dict.fromkeys(there, HostHealth()) | {row.host_id: _health(row) for row in known}


def save_health(connection: sa.Connection, healths: Mapping[int, HostHealth]) -> None:
    """Keep the health of hosts."""
    if not healths:
        return
    columns = {
        "host_id": "bigint", "attempted_at_ms": "bigint", "succeeded_at_ms": "bigint",
        "failures_in_a_row": "integer", "latency_ms": "integer", "mean_latency_us": "bigint",
        "failing": "text",
    }  # fmt: skip
    rows = [
        (
            host_id,
            health.attempted_at_ms,
            health.succeeded_at_ms,
            health.failures_in_a_row,
            health.latency_ms,
            health.mean_latency_us,
            msgspec.json.encode(health.failing).decode(),
        )
        for host_id, health in sorted(healths.items())
    ]
    source, parameters = batch(connection, columns=columns, rows=rows)
    names = ", ".join(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in list(columns)[1:])
    statement = f"""
        INSERT INTO host_health ({names}) SELECT {names} FROM {source} WHERE true
        ON CONFLICT (host_id) DO UPDATE SET {changes}
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters)


def count_failures(
    connection: sa.Connection, failures: Mapping[tuple[int, PollFailure], FailureCount]
) -> None:
    """Add to the counts of hosts' failures, by (host, failure)."""
    if not failures:
        return
    columns = {"host_id": "bigint", "failure": "text", "polls": "bigint", "last_at_ms": "bigint"}
    rows = [
        (host_id, failure.value, counted.polls, counted.last_at_ms)
        for (host_id, failure), counted in sorted(failures.items())
    ]
    source, parameters = batch(connection, columns=columns, rows=rows)
    statement = f"""
        INSERT INTO host_failures (host_id, failure, polls, last_at_ms)
        SELECT host_id, failure, polls, last_at_ms FROM {source} WHERE true
        ON CONFLICT (host_id, failure) DO UPDATE
        SET polls = host_failures.polls + excluded.polls, last_at_ms = excluded.last_at_ms
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters)


def health_of_host(connection: sa.Connection, *, host_id: int) -> HostHealth | None:
    """Return how polling the host goes; None if it was never polled."""
    wanted = sa.select(host_health).where(host_health.c.host_id == host_id)
    row = connection.execute(wanted).first()
    return None if row is None else _health(row)


def failures_of_host(connection: sa.Connection, *, host_id: int) -> dict[PollFailure, FailureCount]:
    """Return in how many polls of the host something failed, by reason."""
    wanted = (
        sa.select(host_failures)
        .where(host_failures.c.host_id == host_id)
        .order_by(host_failures.c.failure)
    )
    return {
        PollFailure(row.failure): FailureCount(row.polls, row.last_at_ms)
        for row in connection.execute(wanted)
    }


def _health(row: sa.Row[*tuple[object, ...]]) -> HostHealth:
    return HostHealth(
        row.attempted_at_ms,
        row.succeeded_at_ms,
        row.failures_in_a_row,
        row.latency_ms,
        row.mean_latency_us,
        _decode_failing(row.failing),
    )
