"""Leases: of many processes, one runs a job. A lease runs out, so a dead holder blocks nobody."""

import sqlalchemy as sa

from meterbook.storage.tables import job_leases

_LEASE_S_MAX = 3600  # far above any: one that lasts longer was taken by a clock that was ahead
_FIRST = sa.text("""
    INSERT INTO job_leases (job, holder, expires_at) VALUES (:job, :holder, :until)
    ON CONFLICT (job) DO NOTHING
""")


def take_lease(connection: sa.Connection, *, job: str, holder: str, now: int, valid_s: int) -> bool:
    """Take or renew the lease; False if another process holds it."""
    renewed = connection.execute(
        sa.update(job_leases)
        .where(
            job_leases.c.job == job,
            sa.or_(
                job_leases.c.holder == holder,
                job_leases.c.expires_at <= now,
                job_leases.c.expires_at > now + _LEASE_S_MAX,
            ),
        )
        .values(holder=holder, expires_at=now + valid_s)
    )
    if renewed.rowcount:
        return True
    # Several processes may ask for the first time at once: one of them inserts.
    taken = connection.execute(_FIRST, {"job": job, "holder": holder, "until": now + valid_s})
    return taken.rowcount > 0


def renew_leases(connection: sa.Connection, *, holder: str, now: int, valid_s: int) -> None:
    """Keep every lease of the holder for as long as it lives."""
    connection.execute(
        sa.update(job_leases).where(job_leases.c.holder == holder).values(expires_at=now + valid_s)
    )


def end_lease(connection: sa.Connection, *, job: str, holder: str) -> None:
    """Give the lease back."""
    connection.execute(
        sa.delete(job_leases).where(job_leases.c.job == job, job_leases.c.holder == holder)
    )
