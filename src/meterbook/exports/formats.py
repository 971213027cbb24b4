"""The formats readings leave in, by name; and all data of an account in one archive."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import sqlalchemy as sa

from meterbook.exports.espi import write_espi
from meterbook.exports.nem12 import write_nem12
from meterbook.exports.selection import Selection
from meterbook.exports.tables import write_csv, write_parquet
from meterbook.storage.files import written_atomically

ZIP_README = """Your readings, as Meterbook has them.

readings.csv   a row for each interval: meter, flow, start, end (UTC), kWh, quality,
               zone of the meter's days
readings.xml   the same as Green Button (ESPI)
"""


class Written(msgspec.Struct, frozen=True):
    """What a file holds."""

    readings: int
    left_out: int = 0
    """What the format cannot carry."""


class ExportFormat(msgspec.Struct, frozen=True):
    """One format."""

    suffix: str
    media_type: str
    write: Callable[[sa.Connection, Path, Selection, int], Written]
    """Connection, file, what, now."""


def _csv(connection: sa.Connection, path: Path, selection: Selection, _now: int) -> Written:
    with written_atomically(path) as out:
        return Written(write_csv(connection, out, selection))


def _parquet(connection: sa.Connection, path: Path, selection: Selection, _now: int) -> Written:
    return Written(write_parquet(connection, path, selection))


def _nem12(connection: sa.Connection, path: Path, selection: Selection, now: int) -> Written:
    with written_atomically(path) as out:
        counts = write_nem12(connection, out, selection, now=now)
    return Written(counts.readings, counts.left_out)


def _espi(connection: sa.Connection, path: Path, selection: Selection, now: int) -> Written:
    with written_atomically(path) as out:
        return Written(write_espi(connection, out, selection, now=now))


def _zip(connection: sa.Connection, path: Path, selection: Selection, now: int) -> Written:
    with (
        written_atomically(path) as out,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive,
    ):
        archive.writestr("README.txt", ZIP_README)
        with archive.open("readings.csv", "w", force_zip64=True) as member:
            count = write_csv(connection, member, selection)  # type: ignore[arg-type]
        with archive.open("readings.xml", "w", force_zip64=True) as member:
            write_espi(connection, member, selection, now=now)  # type: ignore[arg-type]
    return Written(count)


EXPORT_FORMATS = {
    "csv": ExportFormat("csv", "text/csv", _csv),
    "parquet": ExportFormat("parquet", "application/vnd.apache.parquet", _parquet),
    "nem12": ExportFormat("nem12.csv", "text/csv", _nem12),
    "espi": ExportFormat("xml", "application/atom+xml", _espi),
    "zip": ExportFormat("zip", "application/zip", _zip),
}
