"""
The audit log: every change of a person's or a device's record, appended and hash-chained.

    entry 1 ◄─hash─ entry 2 ◄─hash─ entry 3      a changed, missing or inserted entry breaks it

Secrets never get here and FINs only masked: what is written down cannot be taken back.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.fin import masked_fin
from meterbook.domain.local_days import utc_text
from meterbook.storage.dialects import hold_until_commit
from meterbook.storage.tables import audit_entries

_LOCK_NUMBER = 0x4D424155  # "MBAU": one transaction at a time adds an entry
_FIRST_HASH = "0" * 64
_SECRET_WORDS = ("password", "token", "secret", "key")
_ROWS_AT_ONCE = 1_000

Snapshot = Mapping[str, Any] | msgspec.Struct | None


class AuditEntry(msgspec.Struct, frozen=True):
    """Who changed what, when, from what to what."""

    number: int
    at: str
    account: int | None
    """Who; null: the command line."""
    action: str
    subject: str
    """What: its kind and its id."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous_hash: str
    entry_hash: str


def record(
    connection: sa.Connection,
    *,
    by: int | None,
    action: str,
    subject: str,
    before: Snapshot = None,
    after: Snapshot = None,
    now: int,
) -> None:
    """
    Append an entry; call it last in a transaction, others wait from here to the commit.

    :param by: the account that does it; None: the command line.
    """
    hold_until_commit(connection, lock_number=_LOCK_NUMBER)
    last = connection.execute(
        sa.select(audit_entries.c.number, audit_entries.c.entry_hash)
        .order_by(audit_entries.c.number.desc())
        .limit(1)
    ).first()
    number, previous_hash = (last.number + 1, last.entry_hash) if last else (1, _FIRST_HASH)
    content = (number, now, by, action, subject, _text(before), _text(after), previous_hash)
    names = [column.name for column in audit_entries.columns]
    connection.execute(
        sa.insert(audit_entries).values(dict(zip(names, (*content, _hash(content)), strict=True)))
    )


def record_change(
    connection: sa.Connection,
    *,
    by: int | None,
    subject: str,
    before: Snapshot,
    after: Snapshot,
    now: int,
    action: str = "change",
) -> None:
    """Append an entry if the thing is another than before; as `record`, call it last."""
    if after != before:
        record(
            connection, by=by, action=action, subject=subject, before=before, after=after, now=now
        )


def entries(
    connection: sa.Connection,
    *,
    subject: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[AuditEntry]:
    """Return the entries, newest first."""
    wanted = sa.select(audit_entries).order_by(audit_entries.c.number.desc())
    if subject is not None:
        wanted = wanted.where(audit_entries.c.subject == subject)
    return [
        AuditEntry(
            row.number,
            utc_text(row.at),
            row.account_id,
            row.action,
            row.subject,
            row.before and msgspec.json.decode(row.before),
            row.after and msgspec.json.decode(row.after),
            row.previous_hash,
            row.entry_hash,
        )
        for row in connection.execute(wanted.limit(limit).offset(offset))
    ]


def broken_links(connection: sa.Connection) -> Iterator[str]:
    """Find entries that were changed, taken out or put in."""
    expected_number, previous_hash = 1, _FIRST_HASH
    rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
        sa.select(audit_entries).order_by(audit_entries.c.number)
    )
    for row in rows:
        if row.number != expected_number:
            yield f"audit log: entries {expected_number} to {row.number - 1} are missing"
        elif row.previous_hash != previous_hash:
            yield f"audit log: entry {row.number} does not follow from the one before"
        if _hash(tuple(row)[:-1]) != row.entry_hash:
            yield f"audit log: entry {row.number} was changed"
        expected_number, previous_hash = row.number + 1, row.entry_hash


def _hash(content: tuple[object, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _text(snapshot: Snapshot) -> str | None:
    if snapshot is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(snapshot)
    return msgspec.json.encode({name: _shown(name, fields[name]) for name in fields}).decode()


def _shown(name: str, content: object) -> object:
    if any(word in name for word in _SECRET_WORDS):
        return "********"
    if "fin" in name.split("_") and isinstance(content, str):
        return masked_fin(content)
    return content
