"""Parquet: a table of readings with typed columns, read in slices so that memory stays flat."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from meterbook.domain.import_reports import GuessReport
from meterbook.domain.local_days import time_zone
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.csv_guess import GuessedShape, NoTableError, guess_columns
from meterbook.intake.files.csv_mapping import CsvMapping, Guess, merged
from meterbook.intake.files.parsed import PART_READINGS, FilePart, ParseOptions, PartBuilder
from meterbook.intake.files.sources import FileSource
from meterbook.intake.files.table_readings import TableReader

_COLUMNS_MAX = 2_000
_HEAD_ROWS = 200
_UTC = time_zone("UTC")


def read_parquet(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file in parts.

    :raises BrokenFileError: if it is no Parquet, or a guess is ambiguous.
    """
    with _lazy(source) as frame:
        shape = _shape(frame, source, options)
        for guess in shape.guesses:
            if guess.is_ambiguous:
                reason = f"does not tell its {guess.field} ({guess.reading} fits): say it"
                raise BrokenFileError(source.name, reason)
        builder = PartBuilder(options)
        reader = TableReader(builder, shape.mapping, zone=options.stamps_zone or _UTC)
        rows = frame.select(pl.len()).collect().item()
        wanted = shape.mapping.columns
        for begin in range(0, rows, PART_READINGS):
            table = frame.select(wanted).slice(begin, PART_READINGS).collect()
            lines = np.arange(begin + 1, begin + 1 + table.height, dtype=np.int64)
            reader.take(table, lines, goes_on=begin + PART_READINGS < rows)
            yield builder.take()


def parquet_guesses(source: FileSource, options: ParseOptions) -> list[GuessReport]:
    """
    Return what is guessed of the file's shape.

    :raises BrokenFileError: if it is no Parquet.
    """
    with _lazy(source) as frame:
        guesses = _shape(frame, source, options).guesses
    return [GuessReport(guess.field, guess.reading, guess.is_ambiguous) for guess in guesses]


def is_parquet(head: bytes, _name: Path) -> bool:
    """Return whether a file begins as Parquet does."""
    return head.startswith(b"PAR1")


@contextmanager
def _lazy(source: FileSource) -> Iterator[pl.LazyFrame]:
    try:
        if source.packing is None:
            yield pl.scan_parquet(source.whole_path())
            return
        # A packed one must be laid out flat: Parquet is read from its end.
        with tempfile.TemporaryFile() as flat, source.opened() as stream:
            shutil.copyfileobj(stream, flat)
            flat.seek(0)
            yield pl.scan_parquet(flat)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BrokenFileError(source.name, f"is not Parquet that can be read: {reason}") from None


def _shape(frame: pl.LazyFrame, source: FileSource, options: ParseOptions) -> GuessedShape:
    schema = frame.collect_schema()
    if len(schema) > _COLUMNS_MAX:
        raise BrokenFileError(source.name, "has too many columns")
    said = merged(CsvMapping(unit=options.unit, stamp_is_end=options.stamp_is_end), options.mapping)
    said = merged(said, CsvMapping(decimal="."))
    head = frame.head(_HEAD_ROWS).collect()
    columns = [_texts(head[name]) for name in head.columns]
    guesses: list[Guess] = []
    try:
        mapping = guess_columns(head.columns, columns, said, guesses)
    except NoTableError as error:
        raise BrokenFileError(source.name, str(error)) from None
    for name in mapping.columns:
        if name not in schema:
            raise BrokenFileError(source.name, f"has no column {name[:64]!r}")
    return GuessedShape(mapping, [g for g in guesses if getattr(said, g.field, None) is None])


def _texts(column: pl.Series) -> list[str]:
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.to_string("%Y-%m-%dT%H:%M:%S" + ("Z" if column.dtype.time_zone else ""))
    elif not (column.dtype.is_numeric() or column.dtype in {pl.String, pl.Date}):
        return [""] * len(column)
    return column.cast(pl.String).fill_null("").to_list()
