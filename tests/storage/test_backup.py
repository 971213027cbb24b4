"""Backup and restore on both engines."""

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from commands import run_command
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.storage.backup import (
    MANIFEST,
    BackupError,
    back_up,
    read_manifest,
    restore,
)
from meterbook.storage.database import Database
from meterbook.storage.device_tables import devices
from meterbook.storage.kept_backups import backup_name, remove_old_backups
from meterbook.storage.metadata import metadata

NOW = 1_760_000_000
KILLED_BEFORE_ITS_MANIFEST = """
import os, signal, sys
from pathlib import Path
from meterbook.storage.backup import back_up
from meterbook.storage.database import Database
back_up(Database(sys.argv[1]), Path(sys.argv[2]), key_file=None, now=0,
        examine=lambda _copied: os.kill(os.getpid(), signal.SIGKILL))
"""


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
    return empty_beside(database)


def empty_beside(database: Database) -> Database:
    """Make another database on the same PostgreSQL."""
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


def test_a_backup_is_made_of_whichever_of_several_hosts_is_there(
    postgres_url: str, tmp_path: Path
) -> None:
    database = Database(postgres_url)
    record(database, 1)
    hosts = [str(tmp_path / "nobody"), str(database.url.query["host"])]
    several = Database(
        database.url.update_query_dict({"host": hosts}).render_as_string(hide_password=False)
    )
    back_up(several, tmp_path / "copy", key_file=None, now=NOW)
    empty = empty_beside(database)
    restore(empty, tmp_path / "copy", key_file=tmp_path / "secret.key")
    assert rows(empty) == rows(database)
    for each in (empty, several, database):
        each.close()


def test_a_book_is_never_overwritten(database: Database, tmp_path: Path) -> None:
    record(database, 1)
    back_up(database, tmp_path / "backup", key_file=None, now=NOW)
    with pytest.raises(BackupError, match=r"already"):
        restore(database, tmp_path / "backup", key_file=None)
    assert len(rows(database)) == 100


def test_an_empty_book_that_a_server_has_open_is_not_replaced_under_it(
    sqlite_database: Database, second_database: Database, tmp_path: Path
) -> None:
    record(sqlite_database, 1)
    back_up(sqlite_database, tmp_path / "backup", key_file=None, now=NOW)
    assert rows(second_database) == []  # open from here on, as a server's

    assert second_database.sqlite_file is not None
    beside = Database(f"sqlite:///{second_database.sqlite_file}")
    with pytest.raises(BackupError, match="stop the server first"):
        restore(beside, tmp_path / "backup", key_file=None)

    record(second_database, 2)
    second_database.close()
    assert len(rows(beside)) == 100
    with beside.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    restore(beside, tmp_path / "backup", key_file=None)
    assert rows(beside) == rows(sqlite_database)
    beside.close()


def test_what_was_last_written_to_a_book_that_was_moved_away_is_not_removed(
    sqlite_database: Database, second_database: Database, tmp_path: Path
) -> None:
    back_up(sqlite_database, tmp_path / "backup", key_file=None, now=NOW)
    record(second_database, 1)
    book = second_database.sqlite_file
    assert book is not None
    log = book.with_name(f"{book.name}-wal")
    for file in (book, log):  # as a power cut leaves them
        shutil.copyfile(file, tmp_path / f"moved.sqlite{file.name.removeprefix(book.name)}")
    log = (tmp_path / "moved.sqlite-wal").rename(tmp_path / "new.sqlite-wal")

    target = Database(f"sqlite:///{tmp_path / 'new.sqlite'}")
    with pytest.raises(BackupError, match="move it there first"):
        restore(target, tmp_path / "backup", key_file=None)

    log.rename(tmp_path / "moved.sqlite-wal")
    moved = Database(f"sqlite:///{tmp_path / 'moved.sqlite'}")
    assert len(rows(moved)) == 100
    moved.close()
    restore(target, tmp_path / "backup", key_file=None)
    target.close()


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:5000] + b"?" + whole[5001:], lambda whole: whole[:-4096], lambda _: b""],
    ids=["changed", "cut", "empty"],
)
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    sqlite_database: Database, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    record(sqlite_database, 1)
    manifest = back_up(sqlite_database, tmp_path / "backup", key_file=None, now=NOW)
    [name] = manifest.digests
    copy = tmp_path / "backup" / name
    copy.write_bytes(damage(copy.read_bytes()))

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


def test_a_disk_that_fills_up_is_named_and_leaves_nothing_behind(
    database: Database, tmp_path: Path
) -> None:
    record(database, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
        with pytest.raises(BackupError, match="no backup in"):
            back_up(database, tmp_path / "backup", key_file=None, now=NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "backup").iterdir()) == []
    back_up(database, tmp_path / "backup", key_file=None, now=NOW)


def test_a_backup_killed_on_the_way_does_not_look_whole(
    sqlite_database: Database, tmp_path: Path
) -> None:
    record(sqlite_database, 1)
    folder = tmp_path / "backup"
    url = str(sqlite_database.url)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_ITS_MANIFEST, url, folder], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert list(folder.iterdir())
    with pytest.raises(BackupError, match="not a whole backup"):
        read_manifest(folder)


def test_a_copy_is_examined_as_it_is_and_its_rows_are_counted(
    database: Database, tmp_path: Path
) -> None:
    record(database, 1)
    seen: list[int] = []

    def examine(copied: sa.Connection) -> None:
        record(database, 2)  # what comes meanwhile is not in it
        seen.append(copied.exec_driver_sql("SELECT count(*) FROM daybook").scalar_one())

    manifest = back_up(database, tmp_path / "backup", key_file=None, now=NOW, examine=examine)
    assert seen == [100]
    assert manifest.rows["daybook"] == 100
    assert manifest.rows["meters"] == 1
    kept = {path.name for path in (tmp_path / "backup").iterdir()}
    assert kept == {MANIFEST, *manifest.digests}


def test_the_newest_backups_are_kept_and_nothing_else_is_touched(
    sqlite_database: Database, tmp_path: Path
) -> None:
    for age in range(4):
        folder = tmp_path / backup_name(NOW - age * 86_400)
        back_up(sqlite_database, folder, key_file=None, now=NOW)
    unfinished = tmp_path / backup_name(NOW - 90_000)
    unfinished.mkdir()
    (tmp_path / "diary").mkdir()
    remove_old_backups(tmp_path, made=tmp_path / backup_name(NOW), kept=2)
    kept = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert kept == [backup_name(NOW - 86_400), backup_name(NOW), "diary"]


def test_a_backup_of_a_clock_that_was_ahead_does_not_stay_in_the_place_of_new_ones(
    sqlite_database: Database, tmp_path: Path
) -> None:
    ahead = tmp_path / "backups" / "2999-01-01T00-00-00Z"
    back_up(sqlite_database, ahead, key_file=None, now=NOW)
    for _ in range(2):
        done = run_command("backup", str(ahead.parent), "--keep", "1", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        made = Path(done.stdout.partition(": ")[0])
        assert read_manifest(made).engine == "sqlite"
        made.rename(made.with_name(backup_name(NOW)))  # a day or two pass
    assert [path.name for path in sorted(ahead.parent.iterdir())] == [
        backup_name(NOW),
        ahead.name,
    ]


def test_the_command_keeps_so_many_and_says_that_the_copied_book_is_in_order(
    sqlite_database: Database, tmp_path: Path
) -> None:
    assert sqlite_database.sqlite_file == tmp_path / "meterbook.sqlite"
    record(sqlite_database, 1)
    backups = tmp_path / "backups"
    back_up(sqlite_database, backups / backup_name(NOW), key_file=None, now=NOW)
    done = run_command("backup", str(backups), "--keep", "1", "--verify", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"removed {backups / backup_name(NOW)}" in done.stdout
    [kept] = backups.iterdir()
    assert read_manifest(kept).rows["daybook"] == 100
    with sqlite_database.writing() as connection:
        connection.exec_driver_sql("UPDATE daybook SET channel_id = 99")
    done = run_command("backup", str(backups), "--keep", "2", "--verify", folder=tmp_path)
    assert done.returncode == 1
    assert "not in order" in done.stderr
    assert len(list(backups.iterdir())) == 2


def test_what_devices_have_sent_is_a_book_that_nothing_is_restored_over(
    sqlite_database: Database, second_database: Database, tmp_path: Path
) -> None:
    record(sqlite_database, 7)
    back_up(sqlite_database, tmp_path / "copy", key_file=None, now=NOW)
    device = {"scheme": "mqtt", "sent_by": 0, "foreign_id": "roof", "first_seen_at": NOW}
    with second_database.writing() as connection:
        connection.execute(sa.insert(devices).values(device))

    with pytest.raises(BackupError, match="holds a book already"):
        restore(second_database, tmp_path / "copy", key_file=None)

    with second_database.reading() as connection:
        assert connection.execute(sa.select(devices.c.foreign_id)).scalars().all() == ["roof"]
