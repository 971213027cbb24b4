"""
CSV of any shape: columns, delimiter, decimal comma, zone, unit and layout are guessed and shown.

A guess that is ambiguous refuses the file until a person says what is meant. The file is read in
parts of whole lines, so memory does not grow with it.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import polars as pl

from meterbook.domain.import_reports import GuessReport
from meterbook.domain.local_days import time_zone
from meterbook.domain.reading_columns import IntColumn
from meterbook.intake.files.ahead import ahead
from meterbook.intake.files.broken import BrokenFileError, NoMeterFileError, text_problem
from meterbook.intake.files.csv_guess import (
    DELIMITERS,
    GuessedShape,
    NoTableError,
    column_names,
    guess_shape,
)
from meterbook.intake.files.csv_mapping import CsvMapping, merged
from meterbook.intake.files.parsed import FilePart, ParseOptions, PartBuilder
from meterbook.intake.files.plain_rows import PlainRows, is_plain, plain_rows
from meterbook.intake.files.sources import FileSource
from meterbook.intake.files.table_readings import TableReader
from meterbook.intake.files.text_lines import csv_fields

HEAD_BYTES = 256 << 10
PART_BYTES = 4 << 20  # 120,000 London rows: memory is used again rather than more of it
LINE_BYTES_MAX = 100_000
_MUST_BE_SAID = frozenset({"date_order", "unit", "energy"})
_UTC = time_zone("UTC")


def read_csv(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts.

    :raises BrokenFileError: if it holds no table, or a guess is ambiguous.
    """
    shape = _shape(source, options)
    for guess in shape.guesses:
        if guess.is_ambiguous and guess.field in _MUST_BE_SAID:
            raise BrokenFileError(source.name, _ambiguous(guess.field, guess.reading))
    builder = PartBuilder(options)
    reader = TableReader(builder, shape.mapping, zone=options.stamps_zone or _UTC)
    table = _Table(shape.mapping, builder, source.name)
    with source.opened() as stream, closing(ahead(table.split(stream))) as pieces:
        for piece, goes_on in _told_of_more(pieces):
            if piece.plain is not None:
                reader.take_plain(piece.plain, piece.lines(), goes_on=goes_on)
            else:
                reader.take(*table.rows(piece), goes_on=goes_on)
            if builder.is_full:
                yield builder.take()
    yield builder.take()


def csv_guesses(source: FileSource, options: ParseOptions) -> list[GuessReport]:
    """
    Return what is guessed of the file's shape.

    :raises BrokenFileError: if it holds no table.
    """
    return [
        GuessReport(guess.field, guess.reading, guess.is_ambiguous)
        for guess in _shape(source, options).guesses
    ]


def _ambiguous(field: str, reading: str) -> str:
    asked = {
        "date_order": "say whether day or month comes first",
        "unit": "say the unit",
        "energy": "name the column of the energy",
    }[field]
    return f"does not tell its {field.replace('_', ' ')} ({reading} fits): {asked}"


def _shape(source: FileSource, options: ParseOptions) -> GuessedShape:
    with source.opened() as stream:
        head = stream.read(HEAD_BYTES)
    if b"\x00" in head:
        raise BrokenFileError(source.name, text_problem(head))
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head  # not to cut a letter of several bytes
    lines = _text(head).splitlines()
    said = options.mapping
    said = merged(CsvMapping(unit=options.unit, stamp_is_end=options.stamp_is_end), said)
    try:
        return guess_shape(lines, said)
    except NoTableError as error:
        raise NoMeterFileError(source.name, str(error)) from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _parts(stream: BinaryIO, name: Path) -> Iterator[tuple[bytes, int]]:
    line, rest = 1, b""
    while read := stream.read(PART_BYTES):
        body = rest + read
        cut = body.rfind(b"\n") + 1
        if len(body) - cut > LINE_BYTES_MAX:
            raise BrokenFileError(name, "has a line longer than any of readings", line=line)
        if len(read) < PART_BYTES:
            cut = len(body)  # the last line needs no line feed
        rest = body[cut:]
        if cut:
            yield body[:cut], line
            line += body.count(b"\n", 0, cut)
    if rest:
        yield rest, line


class _Piece(msgspec.Struct, frozen=True):
    """Some whole lines of the file."""

    body: bytes
    first_line: int
    quick: pl.DataFrame | None
    """Their rows; None where they must be read line by line."""
    count: int
    plain: PlainRows | None
    """All of them, where they are of the plainest form."""

    def lines(self) -> IntColumn:
        """Return the line of each row."""
        return np.arange(self.first_line, self.first_line + self.count, dtype=np.int64)


def _told_of_more(pieces: Iterator[_Piece]) -> Iterator[tuple[_Piece, bool]]:
    piece = next(pieces, None)
    while piece is not None:
        coming = next(pieces, None)
        yield piece, coming is not None
        piece = coming


class _Table:
    """The rows of one file, part after part."""

    def __init__(self, mapping: CsvMapping, builder: PartBuilder, name: Path) -> None:
        self._mapping, self._builder, self._name = mapping, builder, name
        self._delimiter = mapping.delimiter or ","
        self._names: list[str] = []
        self._is_plain = is_plain(mapping)

    def split(self, stream: BinaryIO) -> Iterator[_Piece]:
        """Yield the file in pieces, split into columns where every line has its columns."""
        for body, first_line in _parts(stream, self._name):
            yield self._piece(body, first_line)

    def rows(self, piece: _Piece) -> tuple[pl.DataFrame, IntColumn]:
        """Return the rows of a piece and the line of each; ragged ones are rejected."""
        if piece.quick is None:
            return self._careful(piece.body, piece.first_line)
        return piece.quick, piece.lines()

    def _piece(self, body: bytes, first_line: int) -> _Piece:
        if b"\x00" in body:
            raise BrokenFileError(self._name, "is not text", line=first_line)
        if first_line == 1:
            skipped = (self._mapping.skip_lines or 0) + bool(self._mapping.header)
            body = self._begin(body, skipped)
            first_line += skipped
        count = body.count(b"\n") + (not body.endswith(b"\n") and bool(body))
        if not body.isascii():
            body = _text(body).encode()
        plain = None
        if self._is_plain and b'"' not in body:
            plain = plain_rows(body, self._mapping, self._names, count=count)
        quick = self._quick(body, count) if plain is None else None
        return _Piece(body, first_line, quick, count, plain)

    def _begin(self, body: bytes, skipped: int) -> bytes:
        before = b""
        for _ in range(max(skipped, 1)):
            end = body.find(b"\n") + 1 or len(body)
            before, rest = body[:end], body[end:]
            if skipped:
                body = rest
        fields = csv_fields(_text(before).strip(), delimiter=self._delimiter)
        self._names = column_names(fields, header=bool(self._mapping.header))
        for name in self._mapping.columns:
            if name not in self._names:
                raise BrokenFileError(self._name, f"has no column {name[:64]!r}")
        return body

    def _quick(self, body: bytes, count: int) -> pl.DataFrame | None:
        width = len(self._names)
        if b'"' in body or body.count(self._delimiter.encode()) != count * (width - 1):
            return None
        try:
            table = pl.read_csv(
                body, has_header=False, new_columns=self._names, separator=self._delimiter,
                infer_schema=False, quote_char=None,
            )  # fmt: skip
        except pl.exceptions.PolarsError:
            return None
        return table if (table.height, table.width) == (count, width) else None

    def _careful(self, body: bytes, first_line: int) -> tuple[pl.DataFrame, IntColumn]:
        rows: list[list[str]] = []
        lines: list[int] = []
        for line, text in enumerate(_text(body).split("\n"), start=first_line):
            if not text.strip():
                continue
            fields = csv_fields(text.rstrip("\r"), delimiter=self._delimiter)
            if len(fields) == len(self._names):
                rows.append(fields)
                lines.append(line)
            else:
                self._builder.reject(
                    line, f"has {len(fields)} columns instead of {len(self._names)}"
                )
        schema = dict.fromkeys(self._names, pl.String)
        table = pl.DataFrame(rows, schema=schema, orient="row")
        return table, np.array(lines, dtype=np.int64)


def is_csv(head: bytes, _name: Path) -> bool:
    """Return whether a file may be a table: text, with a delimiter in its first lines."""
    if b"\x00" in head or head.lstrip()[:1] in {b"{", b"[", b"<"}:
        return False
    return any(mark.encode() in head for mark in DELIMITERS)
