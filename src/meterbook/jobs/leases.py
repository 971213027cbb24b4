"""Leases: of many processes, one runs a job. A lease runs out, so a dead holder blocks nobody."""

import sqlalchemy as sa

from meterbook.storage.tables import job_leases


def take_lease(connection: sa.Connection, *, job: str, holder: str, now: int, valid_s: int) -> bool:
    """Take or renew the lease; False if another process holds it."""
    renewed = connection.execute(
        sa.update(job_leases)
        .where(
            job_leases.c.job == job,
            sa.or_(job_leases.c.holder == holder, job_leases.c.expires_at <= now),
        )
        .values(holder=holder, expires_at=now + valid_s)
    )
    if renewed.rowcount:
        return True
    if connection.execute(sa.select(job_leases.c.job).where(job_leases.c.job == job)).first():
        return False
    connection.execute(
        sa.insert(job_leases).values(job=job, holder=holder, expires_at=now + valid_s)
    )
    return True


def end_lease(connection: sa.Connection, *, job: str, holder: str) -> None:
    """Give the lease back."""
    connection.execute(
        sa.delete(job_leases).where(job_leases.c.job == job, job_leases.c.holder == holder)
    )
