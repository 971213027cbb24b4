"""Keys of devices: shown once, in the form clients insist on, listed, revoked."""

import re

import pytest

from callers import signed_in
from meterbook.registry.device_keys import (
    KEYS_OF_ACCOUNT_MAX,
    KeyForm,
    decryption_keys,
    device_keys_of,
    give_device_key,
    labels_of_keys,
    revoke_device_key,
)
from meterbook.registry.personal_data import PersonalData
from meterbook.registry.refusals import InUseError, NotThereError
from meterbook.registry.tokens import secret_hash
from meterbook.storage.database import Database

PERSONAL = PersonalData("c2VjcmV0IGtleSBvZiAzMiBieXRlcyBmb3IgdGVzdHM=")


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        (KeyForm.HEX32, "[0-9a-f]{32}"),
        (KeyForm.TOKEN20, "[A-Za-z0-9]{20}"),
        (KeyForm.UUID, "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ],
)
def test_a_key_has_its_form_and_stands_for_its_account_until_revoked(
    database: Database, form: KeyForm, shape: str
) -> None:
    account, _ = signed_in(database, "owner")
    with database.writing() as connection:
        made = give_device_key(
            connection, PERSONAL, account_id=account.id, label="roof", form=form, now=0
        )
        assert re.fullmatch(shape, made.key)
        hashed = secret_hash(made.key)
        assert labels_of_keys(connection, {hashed}) == {hashed: (account.id, "roof")}
        kept = decryption_keys(connection, PERSONAL, account_id=account.id)
        assert kept == ([made.key] if form is KeyForm.HEX32 else [])
        with pytest.raises(NotThereError):
            revoke_device_key(connection, key_id=made.id, account_id=account.id + 1, now=1)
        revoke_device_key(connection, key_id=made.id, account_id=account.id, now=1)
        assert labels_of_keys(connection, {hashed}) == {}
        assert decryption_keys(connection, PERSONAL, account_id=account.id) == []
        assert device_keys_of(connection, account_id=account.id) == []


def test_an_account_has_a_bounded_number_of_keys(sqlite_database: Database) -> None:
    account, _ = signed_in(sqlite_database, "owner")
    with sqlite_database.writing() as connection:
        for number in range(KEYS_OF_ACCOUNT_MAX):
            give_device_key(
                connection,
                PERSONAL,
                account_id=account.id,
                label=f"{number}",
                form=KeyForm.UUID,
                now=0,
            )
        with pytest.raises(InUseError):
            give_device_key(
                connection, PERSONAL, account_id=account.id, label="x", form=KeyForm.UUID, now=0
            )


def test_two_keys_of_an_account_have_two_labels(database: Database) -> None:
    anna, ben = (signed_in(database, name)[0].id for name in ("anna", "ben"))

    def give(account_id: int) -> int:
        with database.writing() as connection:
            return give_device_key(
                connection,
                PERSONAL,
                account_id=account_id,
                label="1.8.0",
                form=KeyForm.UUID,
                now=0,
            ).id

    first = give(anna)
    give(ben)
    with pytest.raises(InUseError, match="another key has this label"):
        give(anna)
    with database.writing() as connection:
        revoke_device_key(connection, key_id=first, account_id=anna, now=1)
    give(anna)
