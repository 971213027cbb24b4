"""
The formats by name, and which of them a file has.

A format's module is imported when a file needs it, so that a command that reads London CSV does
not wait for an XML or a telegram library.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import msgspec

from meterbook.domain.import_reports import GuessReport
from meterbook.intake.files.broken import NO_TEXT, NoMeterFileError, text_problem
from meterbook.intake.files.parsed import FilePart, ParseOptions
from meterbook.intake.files.sources import FileSource

HEAD_BYTES = 4_096


class Format(msgspec.Struct, frozen=True):
    """One format: its module has `read_NAME`, `is_NAME`, and `NAME_guesses` if it must guess."""

    name: str
    module: str
    guesses_shape: bool = False

    def read(self, source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
        """
        Yield the file in parts.

        :raises BrokenFileError: if it is broken or of another format.
        """
        parts: Iterator[FilePart] = self._named("read_{}")(source, options)
        return parts

    def fits(self, head: bytes, source: FileSource) -> bool:
        """Say whether a file that begins like this is of this format."""
        return bool(self._named("is_{}")(head, source.name))

    def guesses(self, source: FileSource, options: ParseOptions) -> list[GuessReport]:
        """Return what is guessed of the file's shape."""
        if not self.guesses_shape:
            return []
        guesses: list[GuessReport] = self._named("{}_guesses")(source, options)
        return guesses

    def _named(self, name: str) -> Callable[..., Any]:
        module = import_module(f"meterbook.intake.files.{self.module}")
        function: Callable[..., Any] = getattr(module, name.format(self.name))
        return function


# In the order in which they are tried: what is sure from its first bytes comes first.
FORMATS = {
    format_.name: format_
    for format_ in (
        Format("parquet", "parquet_files", guesses_shape=True),
        Format("sml", "sml"),
        Format("dlms", "dlms"),
        Format("mscons", "mscons"),
        Format("dsmr", "dsmr"),
        Format("espi", "espi"),
        Format("nem13", "nem13"),
        Format("nem12", "nem12"),
        Format("hdf", "hdf"),
        Format("lcl", "lcl"),
        Format("csv", "csv_files", guesses_shape=True),
    )
}

SEED_FORMATS = ("recovery", "masterdb")
"""The seed's JSON files, copies of a book: `imports.seed_files` reads them beside the book."""


def format_named(name: str) -> Format:
    """
    Return the format.

    :raises LookupError: if there is none of that name.
    """
    if name not in FORMATS:
        known = ", ".join((*FORMATS, *SEED_FORMATS))
        raise LookupError(f"no format {name!r}; there are {known}")
    return FORMATS[name]


def format_of(source: FileSource) -> Format:
    """
    Return the format a file has by its first bytes.

    :raises NoMeterFileError: if it has none of them.
    """
    with source.opened() as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise NoMeterFileError(source.name, "is empty")
    for format_ in FORMATS.values():
        if format_.fits(head, source):
            return format_
    reason = text_problem(head)
    if reason == NO_TEXT:
        reason = "is of no format that is known here; if it should be, say which"
    raise NoMeterFileError(source.name, reason)
