"""What tests of file formats share: a file read as an import would, without a database."""

import struct
from pathlib import Path

import msgspec

from meterbook.domain.reading_columns import ReadingColumns, joined
from meterbook.imports.summary import FileSummary
from meterbook.intake.files.formats import format_named, format_of
from meterbook.intake.files.parsed import ParseOptions, Series
from meterbook.intake.files.sources import sources_of

NOW = 1_790_000_000
OPTIONS = ParseOptions(now=NOW)


class ReadFile(msgspec.Struct):
    """Everything a file says."""

    summary: FileSummary
    rows: dict[Series, ReadingColumns]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Line and reason of what was rejected."""
        return [(note.line, note.reason) for note in self.summary.rejected]

    @property
    def left_out(self) -> dict[str, int]:
        """What was left out, with counts."""
        return {kind.what: kind.count for kind in self.summary.left_out()}

    def energies(self) -> dict[str, float]:
        """Return name and flow to energy in kWh."""
        return {
            f"{one.name} {one.flow}": one.energy_kwh
            for one in self.summary.series_reports({}, set())
        }


def read_file(path: Path, *, as_format: str | None = None, **said: object) -> ReadFile:
    """Read a whole file, of the format it seems to have or of the one that is named."""
    options = msgspec.structs.replace(OPTIONS, **said)
    summary = FileSummary()
    rows: dict[Series, list[ReadingColumns]] = {}
    for source in sources_of(path):
        format_ = format_named(as_format) if as_format else format_of(source)
        for part in format_.read(source, options):
            summary.add(part)
            for number, series in enumerate(part.series):
                own = part.readings.only(part.readings.source == number)
                rows.setdefault(series, []).append(own)
    return ReadFile(summary, {series: joined(parts) for series, parts in rows.items()})


def hdlc_frame(payload: bytes, *, segmented: bool = False) -> bytes:
    """Return a payload in an HDLC frame between its flags, as meters push it."""
    length = len(payload) + 10
    head = struct.pack(">H", 0xA000 | segmented << 11 | length) + b"\x41\x08\x83\x13"
    body = head + _x25(head) + payload
    return b"\x7e" + body + _x25(body) + b"\x7e"


def _x25(body: bytes) -> bytes:
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
    return struct.pack("<H", crc ^ 0xFFFF)
