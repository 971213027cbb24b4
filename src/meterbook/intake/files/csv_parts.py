"""
A CSV file in parts of whole lines, so that memory does not grow with the file.

A part ends where the first column changes if it can: the readings of one home then stay together,
and no local day is split between two parts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from meterbook.intake.files.broken import BrokenFileError

PART_BYTES = 4 << 20  # 100,000 London rows: memory is used again rather than more of it
LINE_BYTES_MAX = 10_000


class CsvPart(msgspec.Struct, frozen=True):
    """Some whole lines of a file."""

    header: str | None
    """The file's first line; only of the first part."""
    body: bytes
    """Lines, each ended by a line feed except perhaps the file's last."""
    first_line: int
    """Number of the body's first line in the file, counted from 1."""


def csv_parts(file: BinaryIO, name: Path, *, part_bytes: int = PART_BYTES) -> Iterator[CsvPart]:
    """
    Yield an open file in parts; an empty file has one, with an empty header.

    :raises BrokenFileError: if a line is longer than a part.
    """
    first = file.readline(LINE_BYTES_MAX)
    header: str | None = first.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    line = 2
    rest = b""
    while True:
        read = file.read(part_bytes)
        body = rest + read
        if not read:
            if body or header is not None:
                yield CsvPart(header, body, line)
            return
        cut = _cut(body) if len(read) == part_bytes else len(body)
        if not cut:
            raise BrokenFileError(name, "has a line without end", line=line)
        rest = body[cut:]
        yield CsvPart(header, body[:cut], line)
        header = None
        line += body.count(b"\n", 0, cut)


def _cut(body: bytes) -> int:
    end = body.rfind(b"\n") + 1
    last_line = body.rfind(b"\n", 0, end - 1) + 1
    home = body[last_line : body.find(b",", last_line) + 1]
    if body.startswith(home):
        return end
    return body.find(b"\n" + home) + 1 or end
