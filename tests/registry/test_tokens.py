"""Tokens and passwords: what ends a token, and what a guesser learns from the time it takes."""

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from meterbook.registry import sign_in as signing_in
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.passwords import (
    PASSWORD_CHARACTERS_MAX,
    WeakPasswordError,
    password_fits,
    password_hash,
)
from meterbook.registry.sign_in import AttemptLimits, WrongCredentialsError, sign_in
from meterbook.registry.tokens import account_of_token, issue_token
from meterbook.registry.users import AccountState, change_password, change_user
from meterbook.storage.database import Database
from meterbook.storage.tables import tokens

NOW = 1_760_000_000


@pytest.mark.parametrize(
    ("valid_s", "later_s", "alive"),
    [(None, 10**9, True), (86_400, 86_399, True), (86_400, 86_400, False)],
)
def test_a_token_ends_when_its_time_is_over(
    database: Database, valid_s: int | None, later_s: int, alive: bool
) -> None:
    with database.writing() as connection:
        account = add_account(
            connection,
            username="john",
            email="John@Example.com",
            password_hash="unused",
            role=Role.HOUSEHOLD,
            now=NOW,
        )
        token = issue_token(
            connection, account_id=account.id, purpose="api", now=NOW, valid_s=valid_s
        )
        found = account_of_token(connection, secret=token, purpose="api", now=NOW + later_s)
        as_session = account_of_token(connection, secret=token, purpose="session", now=NOW)
    assert (found is not None) == alive
    assert as_session is None
    assert account.email == "john@example.com"


def test_an_unknown_account_costs_a_guesser_as_much_as_a_known_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = password_hash("correct horse battery")
    checked = []
    verify = PasswordHasher.verify

    def counting(hasher: PasswordHasher, hashed: str | bytes, password: str | bytes) -> bool:
        checked.append(str(hashed).rpartition("$")[0].rpartition("$")[0])
        return bool(verify(hasher, hashed, password))

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    assert password_fits("correct horse battery", stored)
    assert not password_fits("wrong", stored)
    assert not password_fits("wrong", None)
    assert not password_fits("nobody has this password", None)
    assert len(checked) == 4
    assert len(set(checked)) == 1, "one algorithm, one cost"
    assert "argon2id" in checked[0]


@pytest.mark.parametrize(
    "password", ["seven77", "password", "PassWord1", "x" * (PASSWORD_CHARACTERS_MAX + 1)]
)
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(WeakPasswordError):
        password_hash(password)


@pytest.mark.parametrize("password", ["only lower case", "x9" * 32, "пароль-длинный"])
def test_a_long_password_needs_no_special_signs(password: str) -> None:
    assert password_fits(password, password_hash(password))


@pytest.mark.parametrize("meanwhile", ["password changed", "deactivated"])
def test_who_signs_in_while_the_password_changes_is_not_signed_in_by_the_old_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    with database.writing() as connection:
        account = add_account(
            connection,
            username="john",
            email="john@example.com",
            password_hash=password_hash("the old password"),
            role=Role.HOUSEHOLD,
            now=NOW,
        )

    def fits(password: str, stored: str | None) -> bool:
        found = password_fits(password, stored)
        with database.writing() as connection:
            if meanwhile == "deactivated":
                changes = {"state": AccountState.DEACTIVATED}
                change_user(connection, account_id=account.id, changes=changes, by=1, now=NOW)
            else:
                change_password(
                    connection,
                    account_id=account.id,
                    password_hash="new",
                    kept_secret=None,
                    by=1,
                    now=NOW,
                )
        return found

    monkeypatch.setattr(signing_in, "password_fits", fits)
    with pytest.raises(WrongCredentialsError):
        sign_in(
            database,
            username="john",
            password="the old password",
            address="",
            purpose="session",
            limits=AttemptLimits(),
            valid_s=None,
            now=NOW,
        )

    with database.reading() as connection:
        assert connection.execute(sa.select(tokens)).all() == []
