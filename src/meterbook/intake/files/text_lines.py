"""Lines of a text file with their numbers; one that is too long, or no text, is refused."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from meterbook.intake.files.broken import BrokenFileError

LINE_BYTES_MAX = 100_000  # a day of one-minute intervals is 12,000


def text_lines(stream: BinaryIO, name: Path) -> Iterator[tuple[int, str]]:
    """
    Yield number and text of each line, without its end.

    :raises BrokenFileError: if a line is too long or holds bytes that are no text.
    """
    number = 0
    while raw := stream.readline(LINE_BYTES_MAX):
        number += 1
        if len(raw) == LINE_BYTES_MAX and not raw.endswith(b"\n"):
            raise BrokenFileError(name, "is longer than any line of readings", line=number)
        if b"\x00" in raw:
            raise BrokenFileError(name, "is not text", line=number)
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="replace")
        yield number, text.rstrip("\r\n")


def csv_fields(text: str, *, delimiter: str = ",") -> list[str]:
    """Return the fields of one line; none where its quotes or line ends are damaged."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []
