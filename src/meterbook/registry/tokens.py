"""
Tokens: random secrets that stand for an account, for programs (`api`) and browsers (`session`).

The secret is shown once; only its SHA-256 is stored. It has 256 random bits, so no salt is needed.
"""

import hashlib
import secrets
from typing import Literal

import sqlalchemy as sa

from meterbook.registry.accounts import Account, Role
from meterbook.storage.driver_rows import driver_rows
from meterbook.storage.tables import accounts, tokens

Purpose = Literal["api", "session"]
_USED_AT_STEP_S = 60  # writing every use down would make each read a write

# Built once: every call of a program asks it, and building takes longer than asking.
_ACCOUNT_OF_TOKEN = (
    sa.select(
        accounts.c.id, accounts.c.username, accounts.c.email, accounts.c.role, tokens.c.used_at
    )
    .join(tokens, tokens.c.account_id == accounts.c.id)
    .where(
        tokens.c.token_hash == sa.bindparam("token_hash"),
        tokens.c.purpose == sa.bindparam("purpose"),
        accounts.c.deactivated_at.is_(None),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > sa.bindparam("now")),
    )
)


def new_secret() -> str:
    """Return 64 random hex characters."""
    return secrets.token_hex(32)


def secret_hash(secret: str) -> str:
    """Return what is stored of a secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(
    connection: sa.Connection,
    *,
    account_id: int,
    purpose: Purpose,
    now: int,
    valid_s: int | None = None,
) -> str:
    """Make a token and return its secret; an API token ends the account's older ones."""
    if purpose == "api":
        end_tokens(connection, account_id=account_id, purpose="api")
    secret = new_secret()
    connection.execute(
        sa.insert(tokens).values(
            token_hash=secret_hash(secret),
            account_id=account_id,
            purpose=purpose,
            created_at=now,
            used_at=now,
            expires_at=None if valid_s is None else now + valid_s,
        )
    )
    return secret


def account_of_token(
    connection: sa.Connection, *, secret: str, purpose: Purpose, now: int, idle_s: int | None = None
) -> Account | None:
    """Return the active account the token stands for; None if it is dead or never was."""
    asked = {"token_hash": secret_hash(secret), "purpose": purpose, "now": now}
    for number, username, email, role, used_at in driver_rows(connection, _ACCOUNT_OF_TOKEN, asked):
        if idle_s is None or used_at + idle_s >= now:
            return Account(number, username, email, Role(role))
    return None


def is_due_for_touch(connection: sa.Connection, *, secret: str, now: int) -> bool:
    """Say whether the token's last use was noted more than a minute ago."""
    stale = sa.select(tokens.c.token_hash).where(
        tokens.c.token_hash == secret_hash(secret), tokens.c.used_at < now - _USED_AT_STEP_S
    )
    return connection.execute(stale).first() is not None


def touch_token(connection: sa.Connection, *, secret: str, now: int) -> None:
    """Note that the token was used, at most once a minute."""
    connection.execute(
        sa.update(tokens)
        .where(tokens.c.token_hash == secret_hash(secret), tokens.c.used_at < now - _USED_AT_STEP_S)
        .values(used_at=now)
    )


def end_token(connection: sa.Connection, *, secret: str) -> None:
    """Make the token worthless at once."""
    connection.execute(sa.delete(tokens).where(tokens.c.token_hash == secret_hash(secret)))


def end_tokens(
    connection: sa.Connection,
    *,
    account_id: int,
    purpose: Purpose | None = None,
    kept_secret: str | None = None,
) -> None:
    """Make the account's tokens worthless at once, of one purpose or all, except one."""
    wanted = [tokens.c.account_id == account_id]
    if purpose is not None:
        wanted.append(tokens.c.purpose == purpose)
    if kept_secret is not None:
        wanted.append(tokens.c.token_hash != secret_hash(kept_secret))
    connection.execute(sa.delete(tokens).where(*wanted))
