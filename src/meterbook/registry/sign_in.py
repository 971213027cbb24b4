"""
Signing in and registering, with the brakes on guessing.

Wrong passwords are limited three ways: for one account from one address, for all accounts from
one address (spraying), and for one account from everywhere. The first is the tightest, so that
someone guessing from afar does not lock out the owner.
"""

import msgspec

from meterbook.registry import audit
from meterbook.registry.accounts import (
    Account,
    Role,
    account_by_name,
    add_account,
    require_free,
    stored_name,
)
from meterbook.registry.attempts import count_attempts, subject_of, take_back_attempts
from meterbook.registry.passwords import password_fits, password_hash
from meterbook.registry.tokens import Purpose, issue_token
from meterbook.storage.database import Database

_ADDRESS_FACTOR = 6  # a household behind one address, each member mistyping
_ACCOUNT_FACTOR = 12  # it takes that many addresses at once to keep an owner out


class WrongCredentialsError(PermissionError):
    """No such account, or not its password: which, is not told."""

    def __init__(self) -> None:
        super().__init__("wrong username or password")


class AttemptLimits(msgspec.Struct, frozen=True):
    """How often a minute."""

    wrong_sign_ins: int = 5
    """Wrong passwords for one account from one address."""
    registrations: int = 20
    """New accounts from one address."""


def sign_in(
    database: Database,
    *,
    username: str,
    password: str,
    address: str,
    purpose: Purpose,
    limits: AttemptLimits,
    valid_s: int | None,
    now: int,
) -> tuple[Account, str]:
    """
    Check the password and return the account with a new token.

    :param address: where the request comes from.
    :raises WrongCredentialsError: if they do not fit; takes as long as if they did.
    :raises TooManyAttemptsError: if there were too many wrong ones in this minute.
    """
    subjects = _sign_in_limits(username, address, limits.wrong_sign_ins)
    with database.writing() as connection:
        count_attempts(connection, limits=subjects, now=now)
    with database.reading() as connection:
        account, stored = account_by_name(connection, username=username)
    if not password_fits(password, stored) or account is None:
        raise WrongCredentialsError
    with database.writing() as connection:
        # The password may have been changed meanwhile: what ends its sessions must end this one.
        _, present = account_by_name(connection, username=username, hold=True)
        if present != stored:
            raise WrongCredentialsError
        take_back_attempts(connection, limits=subjects)
        secret = issue_token(
            connection, account_id=account.id, purpose=purpose, now=now, valid_s=valid_s
        )
    return account, secret


def register(
    database: Database,
    *,
    username: str,
    email: str,
    password: str,
    address: str,
    limits: AttemptLimits,
    valid_s: int | None,
    now: int,
) -> tuple[Account, str]:
    """
    Make a household account and return it with its first token.

    :raises WrongFieldError: if the name is empty, or has what nobody sees.
    :raises AccountTakenError: if the name or the e-mail address is taken.
    :raises WeakPasswordError: if the password may not be chosen.
    :raises TooManyAttemptsError: if too many accounts came from that address in this minute.
    """
    with database.writing() as connection:
        subjects = {subject_of("registration", address): limits.registrations}
        count_attempts(connection, limits=subjects, now=now)
    with database.reading() as connection:
        require_free(connection, username=username, email=email)
    stored = password_hash(password)
    with database.writing() as connection:
        account = add_account(
            connection,
            username=username,
            email=email,
            password_hash=stored,
            role=Role.HOUSEHOLD,
            now=now,
        )
        secret = issue_token(
            connection, account_id=account.id, purpose="api", now=now, valid_s=valid_s
        )
        audit.record(
            connection,
            by=account.id,
            action="register",
            subject=f"users/{account.id}",
            after=account,
            now=now,
        )
    return account, secret


def check_password(
    database: Database,
    *,
    account: Account,
    password: str,
    address: str,
    limits: AttemptLimits,
    now: int,
) -> None:
    """
    Make sure that who holds the token also knows the password.

    :raises WrongCredentialsError: if not.
    :raises TooManyAttemptsError: as signing in.
    """
    subjects = _sign_in_limits(account.username, address, limits.wrong_sign_ins)
    with database.writing() as connection:
        count_attempts(connection, limits=subjects, now=now)
    with database.reading() as connection:
        _, stored = account_by_name(connection, username=account.username)
    if not password_fits(password, stored):
        raise WrongCredentialsError
    with database.writing() as connection:
        take_back_attempts(connection, limits=subjects)


def _sign_in_limits(written: str, address: str, wrong: int) -> dict[str, int]:
    username = stored_name(written)  # however it is written, the same account is guessed at
    return {
        subject_of("sign-in", username, address): wrong,
        subject_of("sign-in-address", address): wrong * _ADDRESS_FACTOR,
        subject_of("sign-in-account", username): wrong * _ACCOUNT_FACTOR,
    }
