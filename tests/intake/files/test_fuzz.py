"""Every parser against damage: real files mutated, random bytes, bombs; only named errors."""

import gzip
import io
import resource
import zipfile
from datetime import date
from pathlib import Path

import msgspec
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import rows_in
from meterbook.imports import ImportRequest, run_import
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.formats import FORMATS, SEED_FORMATS
from meterbook.intake.files.parsed import ParseOptions
from meterbook.storage.database import Database
from meterbook.storage.file_tables import foreign_ids, imports
from meterbook.storage.tables import daybook, ledger, meters
from parsing import NOW, read_file

BOUNDED = settings(
    max_examples=50,
    deadline=2_000,  # ms: nothing a small file says may keep a parser busy
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MEMORY_GROWS_MAX = 300 << 20
_SAMPLES = {
    "nem12": "nem12_examples/examples/unzipped/Example_NEM12_multiple_quality.csv",
    "nem13": "nem12_examples/examples/unzipped/Example_NEM13_forward_estimate.csv",
    "espi": "green_button_espi/BulkSCEIntervalBlock.xml",
    "dsmr": "dsmr_p1/TELEGRAM_V5.txt",
    "sml": "sml_binaries/ISKRA_MT175_D1A52-V22-K0t.bin",
    "mscons": "mscons_edifact/MSCONS_TL_SAMPLE02_first_day.txt",
    "hdf": "irish_hdf_tariff_acceptance/HDF_2023-06_kW.csv",
    "lcl": "lcl_2013_100meters/MAC000003.csv",
    "csv": "lcl_raw_mac000002/MAC000002.csv",
}
_SEED_SAMPLES = {
    "recovery": b'{\n"7": {"00:31": 1.5, "01:01": 0.25},\n"8": {"00:31": 3}\n}\n',
    "masterdb": b'{"7": {"previous_day": {"00:31": 8.33}, "2025-02-11": 187.14, "2025-02-10": 1}}',
}
SAMPLE_BYTES = 12_000
Edit = tuple[str, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "repeat"]),
        st.integers(0, SAMPLE_BYTES),
        st.one_of(
            st.binary(min_size=1, max_size=6),
            st.sampled_from(
                [b"\n", b",", b";", b"\x00", b"-1", b"1e999", b"99999999999999999999", b"nan",
                 b"'", b"?", b"<", b"&a;", b"(", b"\xff\xfe", b"0000-00-00", b"\x1b\x1b\x1b\x1b"]
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def mutated(sample: bytes, edits: list[Edit]) -> bytes:
    """Return the sample with the edits made, one after the other."""
    content = bytearray(sample)
    for kind, place, some in edits:
        at = place % (len(content) + 1)
        match kind:
            case "replace":
                content[at : at + len(some)] = some
            case "insert":
                content[at:at] = some
            case "delete":
                del content[at : at + 8 * len(some)]
            case _:
                content[at:at] = content[at : at + 40]
    return bytes(content)


@pytest.fixture(scope="module")
def samples(shared_data: Path) -> dict[str, bytes]:
    """Give the beginning of a real file of each format, and a Parquet of our own."""
    found = {
        name: (shared_data / path).read_bytes()[:SAMPLE_BYTES] for name, path in _SAMPLES.items()
    }
    out = io.BytesIO()
    pl.DataFrame(
        {
            "meter_id": [1, 1, 2],
            "starts_at": ["2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z", "2024-01-01T00:00:00Z"],
            "kWh": [1.0, 2.0, 3.0],
        }
    ).write_parquet(out)
    lists = msgspec.json.decode((shared_data / "dlms_han_push/kaifa.json").read_bytes())
    # Without the frame, whose checksum would let no damage through.
    unframed = bytes.fromhex(lists["frames"]["se_list"])
    return found | {"parquet": out.getvalue(), "dlms": unframed}


def test_every_format_has_a_sample(samples: dict[str, bytes]) -> None:
    assert samples.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
@BOUNDED
@given(edits=EDITS)
def test_a_damaged_file_is_read_or_named(
    tmp_path: Path, samples: dict[str, bytes], name: str, edits: list[Edit]
) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(mutated(samples[name], edits))
    try:
        read = read_file(file, as_format=name, unit="kwh")
    except BrokenFileError as error:
        told = str(error)
    else:
        told = f"{file}: line 1"
        for rows in read.rows.values():
            assert (rows.amount >= 0).all()
            assert (rows.starts_at <= NOW).all()
    assert told.startswith(f"{file}: line ")
    assert "\n" not in told


@pytest.mark.parametrize("name", FORMATS)
@BOUNDED
@given(content=st.binary(max_size=400))
def test_random_bytes_are_refused_or_say_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / "random"
    file.write_bytes(content)
    try:
        read = read_file(file, as_format=name)
    except BrokenFileError:
        return
    assert read.summary.readings <= len(content)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.sampled_from(sorted([*FORMATS, *SEED_FORMATS])), edits=EDITS)
def test_nothing_is_stored_of_a_refused_file(
    sqlite_database: Database,
    tmp_path: Path,
    samples: dict[str, bytes],
    name: str,
    edits: list[Edit],
) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(mutated((samples | _SEED_SAMPLES)[name], edits))
    tables = (ledger, daybook, meters, foreign_ids, imports)
    before = rows_in(sqlite_database, *tables)
    request = ImportRequest(
        parse=ParseOptions(now=NOW, unit="kwh"),
        zone="UTC",
        format=name,
        meters={} if name in SEED_FORMATS else {"": 77},
        day=date(2025, 2, 8),
    )
    report = run_import(sqlite_database, file, request)
    assert report.status in {"stored", "refused"}
    if report.status == "refused":
        assert report.problem
        assert rows_in(sqlite_database, *tables) == before


def packed_bomb(path: Path, kind: str) -> Path:
    """Write 256 MiB of zeros, packed into a megabyte at most."""
    block = bytes(1 << 20)
    if kind == "zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("a.csv", "w", force_zip64=True) as member,
        ):
            for _ in range(256):
                member.write(block)
    elif kind == "gzip":
        path.write_bytes(gzip.compress(block * 16, 1) * 16)
    else:
        path.write_bytes(zstandard.compress(block * 256))
    return path


@pytest.mark.parametrize("kind", ["zip", "gzip", "zstd"])
def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, kind: str) -> None:
    bomb = packed_bomb(tmp_path / "bomb", kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    with pytest.raises(BrokenFileError):
        read_file(bomb, as_format="csv")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before < MEMORY_GROWS_MAX


def test_what_an_archive_says_of_its_size_is_not_believed(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"stamp,kWh\n" + b"2024-01-01 00:00,1\n" * 100)
    content = bytearray(out.getvalue())
    end = content.rfind(b"PK\x01\x02")
    content[end + 24 : end + 28] = (1 << 31).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(bytes(content))
    # What counts is what comes out of it, not what its directory says.
    assert read_file(tmp_path / "a.zip").summary.readings == 100


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 3_000_000,
        b"stamp,kWh\n2024-01-01 00:00,1\n" + b"9" * 3_000_000,
        b"/ABC5\n" + b"1-0:1.8.1(000001.000*kWh)\n" * 50_000,
        b"UNA:+.? 'UNB+" + b"A" * 3_000_000,
        b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01" + b"\x76" * 3_000_000,
        b"<feed xmlns='http://www.w3.org/2005/Atom'>" + b"<a>" * 500_000,
        b"\xe6\xe7\x00\x0f\x40\x00\x00\x00\x00" + b"\x01\x84\xff\xff\xff\xff" * 500_000,
    ],
    ids=[
        "one line",
        "a last line",
        "telegram without end",
        "segment",
        "frame",
        "elements",
        "arrays",
    ],
)
def test_what_never_ends_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "endless").write_bytes(content)
    try:
        read = read_file(tmp_path / "endless")
    except BrokenFileError:
        return
    assert (read.summary.readings, len(read.reasons)) == (0, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"<feed xmlns='http://www.w3.org/2005/Atom'><a b='" + b"x" * 3_000_000,
        b"<feed xmlns='http://www.w3.org/2005/Atom'><!--" + b"x" * 3_000_000,
        b"LCLid,tstp,energy(kWh/hh)\n" + b"x" * 9_000_000,
    ],
    ids=["attribute", "comment", "line"],
)
def test_what_never_ends_is_not_looked_at_to_its_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "endless").write_bytes(content)
    with pytest.raises(BrokenFileError, match="without end"):
        read_file(tmp_path / "endless")
