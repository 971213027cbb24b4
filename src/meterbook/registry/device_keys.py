"""
Keys of devices and programs that send of themselves, in the lengths those insist on.

A key is shown once and known by its SHA-256. The one surprise: a key of 32 hex digits is also
kept encrypted, because emoncms clients may use it as an AES key, and what a device encrypted with
it can only be read with the key itself, not with its hash.
"""

import secrets
import string
import uuid
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import utc_text
from meterbook.registry import audit
from meterbook.registry.personal_data import PersonalData
from meterbook.registry.refusals import InUseError, NotThereError
from meterbook.registry.tokens import secret_hash
from meterbook.storage.device_tables import device_keys
from meterbook.storage.dialects import row_lock
from meterbook.storage.tables import accounts

KEYS_OF_ACCOUNT_MAX = 200  # each may be tried on an encrypted request
_LETTERS = string.ascii_letters + string.digits


class KeyForm(StrEnum):
    """What a key looks like."""

    HEX32 = "hex32"
    """32 hex digits: emonHub refuses any other length, IoTaWatt makes 16 bytes of them."""
    TOKEN20 = "token20"
    """20 letters and digits: ThingsBoard's access tokens."""
    UUID = "uuid"
    """vzlogger writes it into the address it posts to."""


class DeviceKey(msgspec.Struct, frozen=True):
    """A key as it may be shown: not the key."""

    id: int
    label: str
    form: KeyForm
    created_at: str


class NewDeviceKey(msgspec.Struct, frozen=True):
    """A key, shown this once."""

    id: int
    label: str
    form: KeyForm
    key: str
    user: int
    """The account's id: emoncms clients that encrypt ask for it."""


def device_keys_of(
    connection: sa.Connection, *, account_id: int, limit: int | None = None, offset: int = 0
) -> list[DeviceKey]:
    """Return the account's keys that are not revoked, by id."""
    rows = connection.execute(
        sa.select(device_keys)
        .where(device_keys.c.account_id == account_id, device_keys.c.revoked_at.is_(None))
        .order_by(device_keys.c.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        DeviceKey(row.id, row.label, KeyForm(row.form), utc_text(row.created_at)) for row in rows
    ]


def give_device_key(
    connection: sa.Connection,
    personal: PersonalData,
    *,
    account_id: int,
    label: str,
    form: KeyForm,
    now: int,
) -> NewDeviceKey:
    """
    Make a key and return it, this once.

    :param label: of no other key of the account: some devices are called by it, and the counters of
        two in one input would be nobody's.
    :raises InUseError: if the account has as many as it may, or one with the label, not revoked.
    """
    hold = f"SELECT id FROM accounts WHERE id = :id {row_lock(connection)}"  # noqa: S608 our own text
    connection.execute(sa.text(hold), {"id": account_id})
    keys = device_keys_of(connection, account_id=account_id)
    if len(keys) >= KEYS_OF_ACCOUNT_MAX:
        raise InUseError(f"an account has at most {KEYS_OF_ACCOUNT_MAX} keys: revoke one first")
    if any(known.label == label for known in keys):
        raise InUseError("another key has this label: revoke that, or call this one differently")
    key = _new_key(form)
    key_id = connection.execute(
        sa.insert(device_keys)
        .values(
            account_id=account_id,
            label=label,
            form=form,
            key_hash=secret_hash(key),
            key_encrypted=personal.encrypt(key) if form is KeyForm.HEX32 else None,
            created_at=now,
        )
        .returning(device_keys.c.id)
    ).scalar_one()
    audit.record(
        connection,
        by=account_id,
        action="give key",
        subject=f"device-keys/{key_id}",
        after={"label": label, "form": form},
        now=now,
    )
    return NewDeviceKey(key_id, label, form, key, account_id)


def revoke_device_key(connection: sa.Connection, *, key_id: int, account_id: int, now: int) -> None:
    """
    Make the key worthless at once.

    :raises NotThereError: if the account has no such key.
    """
    done = connection.execute(
        sa.update(device_keys)
        .where(
            device_keys.c.id == key_id,
            device_keys.c.account_id == account_id,
            device_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now, key_encrypted=None)
    )
    if not done.rowcount:
        raise NotThereError("key")
    subject = f"device-keys/{key_id}"
    audit.record(connection, by=account_id, action="revoke key", subject=subject, now=now)


def labels_of_keys(connection: sa.Connection, hashes: set[str]) -> dict[str, tuple[int, str]]:
    """Return account and label of those hashes that are of a living key of an active account."""
    rows = connection.execute(
        sa.select(device_keys.c.key_hash, device_keys.c.account_id, device_keys.c.label)
        .join(accounts, accounts.c.id == device_keys.c.account_id)
        .where(
            device_keys.c.key_hash.in_(sorted(hashes)),
            device_keys.c.revoked_at.is_(None),
            accounts.c.deactivated_at.is_(None),
        )
    )
    return {row.key_hash: (row.account_id, row.label) for row in rows}


def decryption_keys(
    connection: sa.Connection, personal: PersonalData, *, account_id: int
) -> list[str]:
    """Return the account's living keys that decrypt what devices send, newest first."""
    rows = connection.scalars(
        sa.select(device_keys.c.key_encrypted)
        .join(accounts, accounts.c.id == device_keys.c.account_id)
        .where(
            device_keys.c.account_id == account_id,
            device_keys.c.key_encrypted.is_not(None),
            accounts.c.deactivated_at.is_(None),
        )
        .order_by(device_keys.c.id.desc())
    )
    return [personal.decrypt(bytes(row)) for row in rows if row is not None]


def _new_key(form: KeyForm) -> str:
    match form:
        case KeyForm.HEX32:
            return secrets.token_hex(16)
        case KeyForm.TOKEN20:
            return "".join(secrets.choice(_LETTERS) for _ in range(20))
        case KeyForm.UUID:
            return str(uuid.uuid4())
