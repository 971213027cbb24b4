"""
Personal data at rest: names and FINs are encrypted with the installation's key (Fernet).

The key is the setting `secret_key` or the file `secret.key` in the data directory, made at the
first start and readable by its owner only. Without it the names and FINs of a stolen database
file are noise.
"""

import hmac
import os
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from meterbook.domain.fin import masked_fin
from meterbook.storage.tables import customers, meter_points

KEY_FILE = "secret.key"


class SecretKeyError(ValueError):
    """The key is not one, or not the one the data was encrypted with. Never carries it."""


class PersonalData:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: str) -> None:
        """
        Prepare to use the key.

        :raises SecretKeyError: if it is not 32 bytes in URL-safe base64.
        """
        try:
            self._fernet = Fernet(key)
        except (ValueError, TypeError):
            raise SecretKeyError("secret_key must be 32 bytes in URL-safe base64") from None

        self._key = key

    def derived_secret(self, purpose: str) -> str:
        """Return a secret for another purpose, from which the key cannot be told."""
        return hmac.new(self._key.encode(), purpose.encode(), "sha256").hexdigest()

    def encrypt(self, text: str) -> bytes:
        """Return what may be stored of the text."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, stored: bytes) -> str:
        """
        Return the text again.

        :raises SecretKeyError: if it was encrypted with another key.
        """
        try:
            return self._fernet.decrypt(stored).decode()
        except InvalidToken:
            raise SecretKeyError("secret_key is not the key of this database") from None


def personal_data(*, data_dir: Path, secret_key: str) -> PersonalData:
    """
    Return the encryption in force; makes the key file at the first start.

    :raises SecretKeyError: if the key is not one.
    """
    if secret_key:
        return PersonalData(secret_key)
    file = data_dir / KEY_FILE
    data_dir.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _make_key(file)
    return PersonalData(file.read_text(encoding="ascii").strip())


def require_key_of_book(connection: sa.Connection, personal: PersonalData) -> None:
    """
    Make sure the key is the one that the book's personal data is encrypted with.

    :raises SecretKeyError: if it is another, as that of a node with a data directory of its own.
    """
    is_there = customers.c.name_encrypted.is_not(None)
    stored = connection.execute(sa.select(customers.c.name_encrypted).where(is_there).limit(1))
    if (encrypted := stored.scalar()) is not None:
        personal.decrypt(encrypted)


def _make_key(file: Path) -> None:
    # Written whole, then linked: of several first starts at once one wins, and none reads half.
    draft = file.with_name(f"{KEY_FILE}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(Fernet.generate_key())
        out.flush()
        os.fsync(out.fileno())
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()


def set_customer(
    connection: sa.Connection,
    personal: PersonalData,
    *,
    meter_point_id: int,
    name: str | None,
    fin: str | None,
    now: int,
) -> None:
    """Write down whose meter point it is; replaces who was there before."""
    values = {
        "name_encrypted": None if name is None else personal.encrypt(name),
        "fin_encrypted": None if fin is None else personal.encrypt(fin),
    }
    known = connection.execute(
        sa.select(meter_points.c.customer_id).where(meter_points.c.id == meter_point_id)
    ).scalar()
    if known is not None:
        connection.execute(sa.update(customers).where(customers.c.id == known).values(values))
        return
    customer_id = connection.execute(
        sa.insert(customers).values(created_at=now, **values).returning(customers.c.id)
    ).scalar_one()
    connection.execute(
        sa.update(meter_points)
        .where(meter_points.c.id == meter_point_id)
        .values(customer_id=customer_id)
    )


def customer_of(
    connection: sa.Connection, personal: PersonalData, *, meter_point_id: int
) -> tuple[str | None, str | None]:
    """Return the customer's name and whole FIN; only exports with personal data ask for them."""
    row = connection.execute(
        sa.select(customers.c.name_encrypted, customers.c.fin_encrypted)
        .join(meter_points, meter_points.c.customer_id == customers.c.id)
        .where(meter_points.c.id == meter_point_id)
    ).first()
    if row is None:
        return None, None
    name, fin = (None if stored is None else personal.decrypt(bytes(stored)) for stored in row)
    return name, fin


def masked_customer_of(
    connection: sa.Connection, personal: PersonalData, *, meter_point_id: int
) -> tuple[str | None, str | None]:
    """Return the customer's name and masked FIN, as pages show them."""
    name, fin = customer_of(connection, personal, meter_point_id=meter_point_id)
    return name, None if fin is None else masked_fin(fin)
