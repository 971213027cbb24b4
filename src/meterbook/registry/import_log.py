"""Which files were imported, when, by whom, and what became of each."""

import msgspec
import sqlalchemy as sa

from meterbook.domain.import_reports import ImportReport
from meterbook.domain.local_days import utc_text
from meterbook.storage.file_tables import imports


class LoggedImport(msgspec.Struct, frozen=True):
    """One import that was stored."""

    id: int
    account: int | None
    """Who; null: the command line."""
    imported_at: str
    report: ImportReport


def record_import(
    connection: sa.Connection, report: ImportReport, *, account_id: int | None, now: int
) -> None:
    """Keep the report of a stored file."""
    connection.execute(
        sa.insert(imports).values(
            account_id=account_id,
            imported_at=now,
            file_name=report.file,
            report=msgspec.json.encode(report).decode(),
        )
    )


def logged_imports(
    connection: sa.Connection,
    *,
    account_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[LoggedImport]:
    """
    Return the imports, newest first.

    :param account_id: only those of this account; None: everybody's.
    """
    wanted = sa.select(imports).order_by(imports.c.id.desc()).limit(limit).offset(offset)
    if account_id is not None:
        wanted = wanted.where(imports.c.account_id == account_id)
    return [
        LoggedImport(
            row.id,
            row.account_id,
            utc_text(row.imported_at),
            msgspec.json.decode(row.report, type=ImportReport),
        )
        for row in connection.execute(wanted)
    ]
