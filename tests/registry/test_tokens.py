"""Tokens and passwords: what ends a token, and what a guesser learns from the time it takes."""

import pytest
from argon2 import PasswordHasher

from meterbook.registry.accounts import Role, add_account
from meterbook.registry.passwords import (
    PASSWORD_CHARACTERS_MAX,
    WeakPasswordError,
    password_fits,
    password_hash,
)
from meterbook.registry.tokens import account_of_token, issue_token
from meterbook.storage.database import Database

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
