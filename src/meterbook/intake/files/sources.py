"""
What a path holds: the file itself, or what is packed in it (zip, gzip, zstd).

What unpacks to more than a limit is refused while it is read, whatever its headers declare, so
that a bomb costs neither memory nor disk.
"""

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

import msgspec
import zstandard

from meterbook.domain.import_reports import Arrival
from meterbook.intake.files.broken import BrokenFileError

UNPACKED_BYTES_MAX = 8 << 30
MEMBERS_MAX = 1_000
RATIO_MAX = 200  # readings pack 5 to 40 times; a bomb 1,000 times
RATIO_FREE_BYTES = 64 << 20  # a small file may be packed as well as it likes
_READINGS = {".csv", ".tsv", ".parquet", ".pq", ".zip", ".gz", ".zst"}
_ZSTD_STEP_BYTES = 1 << 10  # of a bomb become 32 MiB at most
_ZIP, _GZIP, _ZSTD = b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class FileSource(msgspec.Struct, frozen=True):
    """One readable file, perhaps packed in another; it can be opened again and again."""

    path: Path
    member: zipfile.ZipInfo | None = None
    """Of a zip; two of them may have the same name."""
    packing: str | None = None
    arriving: Arrival | None = None
    """Where it may still be on its way: then to read it may wait."""

    @property
    def name(self) -> Path:
        """What errors call it."""
        return self.path if self.member is None else self.path / self.member.filename

    @property
    def may_be_passed_over(self) -> bool:
        """Whether it lies in an archive, with a name that promises no readings."""
        if self.member is None:
            return False
        inside = PurePosixPath(self.member.filename)
        is_hidden = inside.name.startswith(".") or inside.parts[:1] == ("__MACOSX",)
        return is_hidden or inside.suffix.lower() not in _READINGS

    def whole_path(self) -> Path:
        """Return the path, when nothing of the file is missing."""
        if self.arriving is not None:
            self.arriving.wait_until_whole()
        return self.path

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """
        Give the unpacked bytes.

        :raises BrokenFileError: if they cannot be unpacked, or are too many.
        """
        try:
            if self.packing is None and self.arriving is not None:
                with self.arriving.opened() as stream:
                    yield stream
                return
            with self.whole_path().open("rb") as file:
                if self.packing is None:
                    yield file
                    return
                bytes_max = max(self.path.stat().st_size * RATIO_MAX, RATIO_FREE_BYTES)
                with self._unpacked(file) as stream:
                    limited = _Limited(stream, self.name, min(bytes_max, UNPACKED_BYTES_MAX))
                    yield cast("BinaryIO", io.BufferedReader(limited, 1 << 20))
        except (
            zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zstandard.ZstdError,
            EOFError, RuntimeError,
        ) as error:  # fmt: skip
            raise BrokenFileError(self.name, f"cannot be unpacked: {error}") from None

    @contextmanager
    def _unpacked(self, file: BinaryIO) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(file) as archive, _member(archive, self.member) as stream:
                yield stream
        elif self.packing == "gzip":
            with gzip.open(file) as stream:
                yield cast("IO[bytes]", stream)
        else:
            yield cast("IO[bytes]", _Unzstd(file))


def sources_of(path: Path, arriving: Arrival | None = None) -> list[FileSource]:
    """
    Return what is in a path, in the archive's order.

    :param arriving: where the file may still be on its way.

    :raises BrokenFileError: if it is an archive that cannot be read.
    """
    plain = FileSource(path, arriving=arriving)
    with plain.opened() as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return [FileSource(path, packing="gzip", arriving=arriving)]
    if magic == _ZSTD:
        return [FileSource(path, packing="zstd", arriving=arriving)]
    if magic != _ZIP:
        return [plain]
    try:
        with zipfile.ZipFile(plain.whole_path()) as archive:
            members = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        raise BrokenFileError(path, f"cannot be unpacked: {error}") from None
    if len(members) > MEMBERS_MAX:
        raise BrokenFileError(path, f"holds more than {MEMBERS_MAX} files")
    if any(entry.flag_bits & 1 for entry in members):
        raise BrokenFileError(path, "is encrypted")
    return [FileSource(path, entry, "zip") for entry in members]


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(entry)
    except UnicodeDecodeError as error:
        raise zipfile.BadZipFile(f"the name of a file in it is damaged: {error}") from None


class _Unzstd(io.RawIOBase):
    """What is packed in zstd frames; the library's own reader takes a cut one for the end."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._frame = _zstd_frame()
        self._is_between = True
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        while not self._ready:
            packed = self._frame.unused_data
            if self._frame.eof:
                self._frame, self._is_between = _zstd_frame(), True
            packed = packed or self._file.read(_ZSTD_STEP_BYTES)
            if not packed:
                if self._is_between:
                    return 0
                raise EOFError("it ends too early")
            self._is_between = False
            self._ready = self._frame.decompress(packed)
        view = memoryview(cast("bytearray", buffer))
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _zstd_frame() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()


class _Limited(io.RawIOBase):
    """A stream that refuses to yield more than so many bytes."""

    def __init__(self, stream: IO[bytes], name: Path, bytes_max: int) -> None:
        super().__init__()
        self._stream, self._name, self._left = stream, name, bytes_max

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        chunk = self._stream.read(min(len(view), 1 << 20))
        self._left -= len(chunk)
        if self._left < 0:
            raise BrokenFileError(self._name, "unpacks to far more than it should")
        view[: len(chunk)] = chunk
        return len(chunk)
