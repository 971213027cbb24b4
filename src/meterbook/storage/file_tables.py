"""
The tables behind files: names that others give to our meters, and what was imported.

Part of the schema of `storage/tables.py`, on a page of its own.
"""

import sqlalchemy as sa

from meterbook.storage.metadata import Id, metadata

# What others call a meter: an NMI, an MPRN, an equipment number. Files find their meter here.
foreign_ids = sa.Table(
    "foreign_ids",
    metadata,
    sa.Column("scheme", sa.Text, primary_key=True),  # nmi, mprn, espi, dsmr, ...
    sa.Column("foreign_id", sa.Text, primary_key=True),
    sa.Column("meter_id", sa.ForeignKey("meters.meter_id"), nullable=False, index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Files that were imported, with what became of each.
imports = sa.Table(
    "imports",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), index=True),  # null: the command line
    sa.Column("imported_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("report", sa.Text, nullable=False),  # JSON: domain.import_reports.ImportReport
)
