"""Browsers' sessions of one account: where one is signed in, by age; secrets are not known here."""

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from meterbook.registry.tokens import secret_hash
from meterbook.storage.tables import accounts, tokens


class Session(msgspec.Struct, frozen=True):
    """One browser that is signed in."""

    created_at: int
    """UTC epoch seconds."""
    used_at: int
    """Of its last click, to the minute."""
    is_this: bool
    """Whether it is the one that asks."""


def sessions_of(
    connection: sa.Connection, *, account_id: int, secret: str | None, now: int, idle_s: int
) -> list[Session]:
    """Return the account's sessions that are alive, the last used first."""
    asking = None if secret is None else secret_hash(secret)
    found = connection.execute(
        sa.select(tokens.c.token_hash, tokens.c.created_at, tokens.c.used_at)
        .where(
            tokens.c.account_id == account_id,
            tokens.c.purpose == "session",
            tokens.c.used_at + idle_s >= now,
            sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        )
        .order_by(tokens.c.used_at.desc(), tokens.c.created_at.desc())
    )
    return [Session(row.created_at, row.used_at, row.token_hash == asking) for row in found]


def living_tokens(
    connection: sa.Connection, token_hashes: Collection[str], *, now: int, session_idle_s: int
) -> set[str]:
    """Return which of the tokens and sessions still stand for an active account."""
    found = connection.scalars(
        sa.select(tokens.c.token_hash)
        .join(accounts, accounts.c.id == tokens.c.account_id)
        .where(
            tokens.c.token_hash.in_(sorted(token_hashes)),
            accounts.c.deactivated_at.is_(None),
            sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
            sa.or_(tokens.c.purpose != "session", tokens.c.used_at + session_idle_s >= now),
        )
    )
    return set(found)
