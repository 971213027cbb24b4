"""The key of a book: a node with another one must not write beside those that have it."""

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from meterbook.registry.personal_data import PersonalData, SecretKeyError, require_key_of_book
from meterbook.storage.database import Database
from meterbook.storage.tables import customers


def test_a_book_with_personal_data_takes_no_other_key(sqlite_database: Database) -> None:
    right = PersonalData(Fernet.generate_key().decode())
    wrong = PersonalData(Fernet.generate_key().decode())
    with sqlite_database.writing() as connection:
        require_key_of_book(connection, wrong)  # nothing is encrypted yet
        encrypted = right.encrypt("Anna")
        connection.execute(sa.insert(customers).values(name_encrypted=encrypted, created_at=0))
        require_key_of_book(connection, right)
        with pytest.raises(SecretKeyError, match="not the key of this database"):
            require_key_of_book(connection, wrong)
