"""A file of readings that a server sends: written to disk first, gone when it is sent."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from meterbook.exports.formats import EXPORT_FORMATS
from meterbook.exports.selection import Selection

CHUNK_BYTES = 1 << 18


def temporary_file(
    connection: sa.Connection, format_name: str, selection: Selection, *, now: int
) -> Iterator[bytes]:
    """Write the readings now, and return the file's content in chunks."""
    with tempfile.TemporaryDirectory(prefix="meterbook-export-") as folder:
        path = Path(folder) / "readings"
        EXPORT_FORMATS[format_name].write(connection, path, selection, now)
        file = path.open("rb")  # stays readable when its folder is gone

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return chunks()
