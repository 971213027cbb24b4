"""
How often something may be tried in a minute, counted in the database for all workers together.

Fixed windows: one row a subject, reset when a new minute begins. An attempt is counted before it
is made, so that a thousand at once do not slip through; one that succeeds is taken back.
"""

import hashlib
from collections.abc import Mapping

import sqlalchemy as sa

from meterbook.storage.tables import attempts

WINDOW_S = 60


class TooManyAttemptsError(RuntimeError):
    """As many attempts as may be made in this minute have been made."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after_s} seconds")
        self.retry_after_s = retry_after_s


def subject_of(*parts: str) -> str:
    """Return the name of what is limited; hashed, for people type passwords into name fields."""
    return f"{parts[0]} {hashlib.sha256('|'.join(parts[1:]).encode()).hexdigest()}"


def count_attempts(connection: sa.Connection, *, limits: Mapping[str, int], now: int) -> None:
    """
    Count one attempt for each subject.

    :param limits: subject to how many attempts a minute may see.
    :raises TooManyAttemptsError: if one of them has no more; roll back, none is counted then.
    """
    window = now - now % WINDOW_S
    statement = sa.text("""
        INSERT INTO attempts (subject, window_starts_at, count) VALUES (:subject, :window, 1)
        ON CONFLICT (subject) DO UPDATE SET
            count = CASE WHEN attempts.window_starts_at = excluded.window_starts_at
                         THEN attempts.count + 1 ELSE 1 END,
            window_starts_at = excluded.window_starts_at
        RETURNING count
    """)
    # In one order everywhere: two transactions then never wait for each other.
    for subject in sorted(limits):
        count = connection.execute(statement, {"subject": subject, "window": window}).scalar_one()
        if count > limits[subject]:
            raise TooManyAttemptsError(retry_after_s=window + WINDOW_S - now)


def take_back_attempts(connection: sa.Connection, *, limits: Mapping[str, int]) -> None:
    """Uncount one attempt of each subject: it was a good one."""
    for subject in sorted(limits):
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.subject == subject, attempts.c.count > 0)
            .values(count=attempts.c.count - 1)
        )


def forget_old_attempts(connection: sa.Connection, *, now: int) -> None:
    """Remove what no longer limits anything."""
    connection.execute(sa.delete(attempts).where(attempts.c.window_starts_at < now - WINDOW_S))
