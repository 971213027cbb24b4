"""Accounts: who signs in, and as what."""

import unicodedata
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from meterbook.registry.refusals import WrongFieldError
from meterbook.storage.dialects import taken_columns
from meterbook.storage.tables import accounts

NAME_CHARACTERS_MAX = 1_000  # of any name or address as it is written; doors allow fewer


class Role(StrEnum):
    """What an account may do; the order is by power."""

    HOUSEHOLD = "household"
    OPERATOR = "operator"
    ADMIN = "admin"


class Account(msgspec.Struct, frozen=True):
    """One account, without its secrets."""

    id: int
    username: str
    email: str
    role: Role

    @property
    def sees_every_meter(self) -> bool:
        """Operators and admins read every meter, households their own."""
        return self.role is not Role.HOUSEHOLD


class AccountTakenError(ValueError):
    """Another account has that name or e-mail address."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"another account has this {field}")
        self.field = field


def stored_name(written: str) -> str:
    """
    Return an account's name as it is stored: one text for what looks the same.

    >>> stored_name(" Zoe\u0308 ") == "Zo\u00eb"
    True
    """
    if len(written) > NAME_CHARACTERS_MAX:  # nobody's; normalizing takes the square of its length
        return written
    return unicodedata.normalize("NFC", written).strip()


def stored_email(written: str) -> str:
    """Return an e-mail address as it is stored."""
    return stored_name(written.lower())


_ACCOUNT = (accounts.c.id, accounts.c.username, accounts.c.email, accounts.c.role)


def add_account(
    connection: sa.Connection,
    *,
    username: str,
    email: str,
    password_hash: str,
    role: Role,
    now: int,
) -> Account:
    """
    Make an account.

    :raises WrongFieldError: if the name is empty, or has what nobody sees.
    :raises AccountTakenError: if the name or the e-mail address is taken.
    """
    username, email = stored_name(username), stored_email(email)
    if not username or not username.isprintable():
        raise WrongFieldError("username", "must have letters, and nothing that cannot be seen")
    require_free(connection, username=username, email=email)
    try:
        account_id = connection.execute(
            sa.insert(accounts)
            .values(
                username=username,
                email=email,
                role=role.value,
                password_hash=password_hash,
                created_at=now,
            )
            .returning(accounts.c.id)
        ).scalar_one()
    except sa.exc.IntegrityError as error:
        # Somebody took it between the look and the insert; the look is only the friendlier way.
        raise AccountTakenError(field=(taken_columns(error) or ("username",))[0]) from None
    return Account(account_id, username, email, role)


def require_free(connection: sa.Connection, *, username: str, email: str) -> None:
    """
    Make sure no account has the name or the e-mail address.

    :raises AccountTakenError: if one does, deactivated ones included.
    """
    for column, wanted in (
        (accounts.c.username, stored_name(username)),
        (accounts.c.email, stored_email(email)),
    ):
        if connection.execute(sa.select(accounts.c.id).where(column == wanted)).first():
            raise AccountTakenError(field=column.name)


def account_by_name(
    connection: sa.Connection, *, username: str, hold: bool = False
) -> tuple[Account, str] | tuple[None, None]:
    """
    Return the active account of that name and its password hash.

    :param hold: it may not change until this transaction, which writes, ends.
    """
    wanted = sa.select(*_ACCOUNT, accounts.c.password_hash).where(
        accounts.c.username == stored_name(username), accounts.c.deactivated_at.is_(None)
    )
    row = connection.execute(wanted.with_for_update() if hold else wanted).first()
    if row is None:
        return None, None
    return Account(row.id, row.username, row.email, Role(row.role)), row.password_hash


def account_id_of_name(connection: sa.Connection, *, username: str) -> int | None:
    """Return the account of that name, a deactivated one too: things stay with their owner."""
    found = sa.select(accounts.c.id).where(accounts.c.username == stored_name(username))
    account_id: int | None = connection.execute(found).scalar()
    return account_id
