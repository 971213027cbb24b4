"""Accounts' names: one account for what looks the same, however it is written."""

import pytest

from callers import PASSWORD, AnyPassword
from meterbook.registry.accounts import Account, AccountTakenError, Role, add_account, stored_name
from meterbook.registry.attempts import TooManyAttemptsError
from meterbook.registry.refusals import WrongFieldError
from meterbook.registry.sign_in import AttemptLimits, WrongCredentialsError, sign_in
from meterbook.registry.users import change_user
from meterbook.storage.database import Database

NOW = 1_760_000_000
COMPOSED, DECOMPOSED = "Zo\u00eb", "Zoe\u0308"


def made(database: Database, username: str, email: str) -> Account:
    with database.writing() as connection:
        return add_account(
            connection,
            username=username,
            email=email,
            password_hash=AnyPassword.stored(),
            role=Role.HOUSEHOLD,
            now=NOW,
        )


def signed_in_as(database: Database, username: str, password: str = PASSWORD) -> int:
    account, _ = sign_in(
        database,
        username=username,
        password=password,
        address="192.0.2.1",
        purpose="session",
        limits=AttemptLimits(wrong_sign_ins=1),
        valid_s=None,
        now=NOW,
    )
    return account.id


@pytest.mark.parametrize(
    "again", [COMPOSED, f" {DECOMPOSED} ", f"{COMPOSED}\n"], ids=["same", "decomposed", "line"]
)
def test_a_name_is_taken_by_one_that_looks_the_same(database: Database, again: str) -> None:
    assert made(database, DECOMPOSED, "zoe@example.com").username == COMPOSED
    with pytest.raises(AccountTakenError) as refused:
        made(database, again, "another@example.com")
    assert refused.value.field == "username"


def test_an_address_is_taken_by_one_that_looks_the_same(database: Database) -> None:
    made(database, "first", f"{DECOMPOSED}@example.com")
    second = made(database, "second", "second@example.com")
    with pytest.raises(AccountTakenError):
        made(database, "third", f"{COMPOSED.upper()}@EXAMPLE.com")
    changes = {"email": f"{COMPOSED}@example.com"}
    with pytest.raises(AccountTakenError), database.writing() as connection:
        change_user(connection, account_id=second.id, changes=changes, by=None, now=NOW)


@pytest.mark.parametrize(
    "name",
    ["", "  ", "bo\u200bb", "\u202ebob", "bo\nb"],
    ids=["none", "blank", "zero", "rtl", "nl"],
)
def test_a_name_that_nobody_could_tell_from_another_is_refused(
    database: Database, name: str
) -> None:
    with pytest.raises(WrongFieldError) as refused:
        made(database, name, "bob@example.com")
    assert refused.value.field == "username"


def test_a_name_longer_than_any_is_nobodys_and_not_looked_into() -> None:
    long = " a" + "\u0300\u0316" * 500
    assert stored_name(long) == long


def test_one_signs_in_and_is_braked_however_one_writes_ones_name(database: Database) -> None:
    account = made(database, COMPOSED, "zoe@example.com")
    assert signed_in_as(database, f"{DECOMPOSED} ") == account.id
    with pytest.raises(WrongCredentialsError):
        signed_in_as(database, COMPOSED, "wrong")
    with pytest.raises(TooManyAttemptsError):
        signed_in_as(database, DECOMPOSED, "wrong")
