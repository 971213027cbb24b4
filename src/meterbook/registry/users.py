"""Accounts as an admin sees and changes them. They are deactivated, never removed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.registry import audit
from meterbook.registry.accounts import AccountTakenError, Role, stored_email
from meterbook.registry.refusals import InUseError, NotThereError
from meterbook.registry.tokens import end_tokens
from meterbook.storage.dialects import row_lock, taken_columns
from meterbook.storage.tables import accounts


class AccountState(StrEnum):
    """Whether an account may sign in."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"


class User(msgspec.Struct, frozen=True):
    """One account."""

    id: int
    username: str
    email: str
    role: Role
    state: AccountState


_COLUMNS = (
    accounts.c.id,
    accounts.c.username,
    accounts.c.email,
    accounts.c.role,
    accounts.c.deactivated_at,
)


def users(connection: sa.Connection, *, limit: int | None = None, offset: int = 0) -> list[User]:
    """Return the accounts by id."""
    wanted = sa.select(*_COLUMNS).order_by(accounts.c.id).limit(limit).offset(offset)
    return [_user(row) for row in connection.execute(wanted)]


def user(connection: sa.Connection, *, account_id: int) -> User:
    """
    Return one account.

    :raises NotThereError: if there is none of that id.
    """
    row = connection.execute(sa.select(*_COLUMNS).where(accounts.c.id == account_id)).first()
    if row is None:
        raise NotThereError("user")
    return _user(row)


def change_user(
    connection: sa.Connection,
    *,
    account_id: int,
    changes: Mapping[str, Any],
    by: int | None,
    now: int,
) -> User:
    """
    Change an account's e-mail address, role or state, and return it.

    :param changes: `email`, `role`, `state`: what is to be different.
    :raises NotThereError: if there is none of that id.
    :raises AccountTakenError: if another account has the e-mail address.
    :raises InUseError: if no active admin were left.
    """
    _hold_admins(connection)
    before = user(connection, account_id=account_id)
    columns = {name: changes[name] for name in ("email", "role") if name in changes}
    if "email" in columns:
        columns["email"] = stored_email(columns["email"])
    if changes.get("state", before.state) != before.state:
        columns["deactivated_at"] = now if before.state is AccountState.ACTIVE else None
    if columns:
        try:
            connection.execute(
                sa.update(accounts).where(accounts.c.id == account_id).values(columns)
            )
        except sa.exc.IntegrityError as error:
            raise AccountTakenError(field=(taken_columns(error) or ("email",))[0]) from None
    after = user(connection, account_id=account_id)
    if after.state is AccountState.DEACTIVATED:
        end_tokens(connection, account_id=account_id)
    if _is_active_admin(before) and not _is_active_admin(after):
        _require_an_admin(connection)
    audit.record_change(
        connection,
        by=by,
        subject=f"users/{account_id}",
        before=before,
        after=after,
        now=now,
    )
    return after


def change_password(
    connection: sa.Connection,
    *,
    account_id: int,
    password_hash: str,
    kept_secret: str | None,
    by: int | None,
    now: int,
) -> None:
    """
    Store a new password and end the account's tokens and sessions.

    :param kept_secret: the token that goes on, the one the change was asked for with.
    """
    connection.execute(
        sa.update(accounts).where(accounts.c.id == account_id).values(password_hash=password_hash)
    )
    end_tokens(connection, account_id=account_id, kept_secret=kept_secret)
    audit.record(
        connection, by=by, action="change password", subject=f"users/{account_id}", now=now
    )


def _user(row: Any) -> User:
    state = AccountState.ACTIVE if row.deactivated_at is None else AccountState.DEACTIVATED
    return User(row.id, row.username, row.email, Role(row.role), state)


def _is_active_admin(account: User) -> bool:
    return account.state is AccountState.ACTIVE and account.role is Role.ADMIN


def _hold_admins(connection: sa.Connection) -> None:
    # Two admins who demote each other at the same moment come one after the other.
    lock = row_lock(connection)
    connection.execute(
        sa.text(f"SELECT id FROM accounts WHERE role = 'admin' ORDER BY id {lock}")  # noqa: S608
    )


def _require_an_admin(connection: sa.Connection) -> None:
    left = sa.select(accounts.c.id).where(
        accounts.c.role == Role.ADMIN.value, accounts.c.deactivated_at.is_(None)
    )
    if connection.execute(left.limit(1)).first() is None:
        raise InUseError("this is the last admin; make another one first")
