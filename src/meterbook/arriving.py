"""
A file that can be read while it arrives.

    sender ──► put ──► file ──► opened ──► reader, who waits where the sender has not got to yet

Its end is seen only once the writer has said that it is whole. If it never will be, every reader
gets an error instead of an end: what has come so far is never taken for the file.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

_BUFFER_BYTES = 1 << 16


class BrokenOffError(Exception):
    """The file will never be whole."""


class ArrivingFile:
    """A file with one writer and any number of readers; left before it is whole, it is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out = path.open("wb")
        self._changed = threading.Condition()
        self._is_whole = self._is_broken = False
        self._wanted = 1 << 62  # the nearest end that somebody waits for
        self.size_bytes = 0
        """How much has arrived."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_broken = not self._is_whole
            self._changed.notify_all()
        self._out.close()

    def put(self, chunk: bytes) -> None:
        """Write what comes next."""
        self._out.write(chunk)
        self._out.flush()
        with self._changed:
            self.size_bytes += len(chunk)
            if self.size_bytes >= self._wanted:
                self._wanted = 1 << 62
                self._changed.notify_all()

    def finish(self) -> None:
        """Say that it is whole."""
        with self._changed:
            self._is_whole = True
            self._changed.notify_all()

    def wait_until_whole(self) -> None:
        """
        Wait until nothing of it is missing.

        :raises BrokenOffError: if that will never be.
        """
        self.wait_for(1 << 62)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Give its bytes from the first on; to read may wait, or raise BrokenOffError."""
        with self._path.open("rb", buffering=0) as file:
            reader = _Reader(self, file)
            yield cast("BinaryIO", io.BufferedReader(reader, _BUFFER_BYTES))

    def wait_for(self, end: int) -> int:
        """
        Wait until it has come up to there, or is whole; return how many bytes have come.

        :raises BrokenOffError: if neither will ever be.
        """
        with self._changed:
            while not (self.size_bytes >= end or self._is_whole or self._is_broken):
                self._wanted = min(self._wanted, end)
                self._changed.wait()
            if self._is_broken:
                raise BrokenOffError
            return self.size_bytes


class _Reader(io.RawIOBase):
    def __init__(self, arriving: ArrivingFile, file: io.FileIO) -> None:
        super().__init__()
        self._arriving, self._file = arriving, file
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        there = self._arriving.wait_for(self._position + len(view))
        count = self._file.readinto(view[: there - self._position])
        self._position += count
        return count
