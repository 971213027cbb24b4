"""Backup and restore on both engines."""

from pathlib import Path

import psycopg
import pytest

from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.storage.backup import BackupError, back_up, restore
from meterbook.storage.database import Database

NOW = 1_760_000_000


def record(database: Database, meter_id: int) -> None:
    packets = [Packet(meter_id, 1_739_000_000 + 1800 * i, i) for i in range(100)]
    PacketRecorder(database, default_zone="UTC").record([Arrival(p, None) for p in packets])


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT * FROM daybook ORDER BY channel_id, starts_at")
        return [tuple(row) for row in found]


@pytest.fixture
def empty(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """Give a database without tables on the same engine."""
    if database.is_sqlite:
        return Database(f"sqlite:///{tmp_path / 'restored' / 'meterbook.sqlite'}")
    folder = str(database.url.query["host"])
    with psycopg.connect(f"host={folder} user=postgres", autocommit=True) as server:
        name = f"restored_{database.url.database}"
        server.execute(f'CREATE DATABASE "{name}"'.encode())
    return Database(f"postgresql+psycopg://postgres@/{name}?host={folder}")


def test_a_restored_book_is_the_book_at_the_moment_of_the_backup(
    database: Database, empty: Database, tmp_path: Path
) -> None:
    key = tmp_path / "data" / "secret.key"
    key.parent.mkdir()
    key.write_text("the key", encoding="ascii")
    record(database, 1)
    at_backup = rows(database)

    back_up(database, tmp_path / "backup", key_file=key, now=NOW)
    record(database, 2)
    if empty.sqlite_file:
        empty.sqlite_file.parent.mkdir()
    restored_key = tmp_path / "elsewhere" / "secret.key"
    restore(empty, tmp_path / "backup", key_file=restored_key)

    assert rows(empty) == at_backup
    assert restored_key.read_text(encoding="ascii") == "the key"
    assert restored_key.stat().st_mode & 0o777 == 0o600
    empty.close()


def test_a_book_is_never_overwritten(database: Database, tmp_path: Path) -> None:
    record(database, 1)
    back_up(database, tmp_path / "backup", key_file=None, now=NOW)
    with pytest.raises(BackupError, match=r"already"):
        restore(database, tmp_path / "backup", key_file=None)
    assert len(rows(database)) == 100


def test_a_damaged_backup_is_refused_before_anything_is_touched(
    sqlite_database: Database, tmp_path: Path
) -> None:
    record(sqlite_database, 1)
    manifest = back_up(sqlite_database, tmp_path / "backup", key_file=None, now=NOW)
    [name] = manifest.digests
    copy = tmp_path / "backup" / name
    damaged = bytearray(copy.read_bytes())
    damaged[5000] ^= 1
    copy.write_bytes(damaged)

    target = tmp_path / "new.sqlite"
    with pytest.raises(BackupError, match="damaged"):
        restore(Database(f"sqlite:///{target}"), tmp_path / "backup", key_file=None)
    assert not target.exists()


def test_a_backup_into_a_folder_with_something_in_it_is_refused(
    sqlite_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "diary.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BackupError, match="not empty"):
        back_up(sqlite_database, tmp_path / "backup", key_file=None, now=NOW)
