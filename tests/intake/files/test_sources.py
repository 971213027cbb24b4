"""Packed files: what is cut or damaged is named, and every member of an archive is read."""

import gzip
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from meterbook.imports import ImportRequest, run_import
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.parsed import ParseOptions
from meterbook.storage.database import Database
from parsing import NOW, read_file

HEADER = "meter,starts_at,kWh\n"
DAYS = HEADER + "".join(
    f"7,2024-02-{day:02d}T{hour:02d}:00:00Z,{day * hour % 97 / 10}\n"
    for day in range(1, 29)
    for hour in range(24)
)
STREAMED = zstandard.ZstdCompressor(write_content_size=False)


def zipped(path: Path, *members: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name that is there already
        for name, content in members:
            archive.writestr(name, content)
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zstandard.compress, STREAMED.compress],
    ids=["gzip", "zstd", "streamed zstd"],
)
@pytest.mark.parametrize("missing", [1, 5, 1_000], ids=str)
def test_a_packed_file_that_is_cut_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], missing: int
) -> None:
    file = tmp_path / "packed"
    packed = pack(DAYS.encode())
    file.write_bytes(packed)
    assert read_file(file).summary.readings == 28 * 24
    file.write_bytes(packed[:-missing])
    with pytest.raises(BrokenFileError, match="cannot be unpacked"):
        read_file(file)


def test_all_frames_of_a_zstd_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.zst"
    middle = DAYS.index("\n", 5_000) + 1
    parts = (DAYS[:middle], "", DAYS[middle:])
    file.write_bytes(b"".join(STREAMED.compress(part.encode()) for part in parts))
    assert read_file(file).summary.readings == 28 * 24


def test_two_members_of_one_name_are_both_read(tmp_path: Path) -> None:
    other = DAYS.replace("\n7,", "\n8,")
    read = read_file(zipped(tmp_path / "a.zip", ("a.csv", DAYS), ("a.csv", other)))
    assert {series.name: len(rows) for series, rows in read.rows.items()} == {
        "7": 28 * 24,
        "8": 28 * 24,
    }


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA], ids=["deflate", "lzma"]
)
def test_a_damaged_member_is_named(tmp_path: Path, method: int) -> None:
    file = zipped(tmp_path / "a.zip", ("a.csv", DAYS), method=method)
    content = bytearray(file.read_bytes())
    content[60] ^= 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises(BrokenFileError, match="cannot be unpacked"):
        read_file(file)


def test_a_member_whose_name_is_damaged_is_named(tmp_path: Path) -> None:
    file = zipped(tmp_path / "a.zip", ("a.csv", DAYS))
    content = bytearray(file.read_bytes())
    content[7] |= 0x08  # the name is UTF-8
    content[30] = 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises(BrokenFileError, match="the name of a file in it is damaged"):
        read_file(file)


def test_a_member_without_a_name_is_passed_over(sqlite_database: Database, tmp_path: Path) -> None:
    file = zipped(tmp_path / "a.zip", (".", "read me"), ("a.csv", DAYS))
    request = ImportRequest(parse=ParseOptions(now=NOW), zone="UTC")
    report = run_import(sqlite_database, file, request)
    assert (report.status, report.readings) == ("stored", 28 * 24)
