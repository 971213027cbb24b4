"""The guide's commands bring PostgreSQL back to an instant: read from the guide, and run."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from books import record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number
from meterbook.intake.packet_fields import Packet
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from services import need, program

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "backups.md"
DAY = date(2025, 2, 8)
START = day_number(DAY) * 86_400
NOW = START + 10 * 86_400


class Cluster:
    """A PostgreSQL of the test's own, and the guide's names for its folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "postgres" if os.geteuid() == 0 else None
        self.names = {
            "CLUSTER": str(folder / "cluster"),
            "ARCHIVE": str(folder / "archive"),
            "BASE": str(folder / "base"),
        }

    def run(self, commands: str) -> None:
        """Run commands as the guide's reader would."""
        programs = Path(str(program("initdb"))).resolve().parent
        environment = {
            **self.names,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        done = subprocess.run(
            ["bash", "-euc", commands],
            env=environment,
            cwd=self.folder,
            user=self.user,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Give a started cluster, as its packages would make it."""
    need(program("postgres") and program("initdb"), "PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="meterbook-pitr-"))
    made = Cluster(folder)
    if made.user:
        shutil.chown(folder, made.user)
    try:
        made.run(
            'initdb -D "$CLUSTER" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8\n'
            f'echo "unix_socket_directories = \'{folder}\'" >> "$CLUSTER/postgresql.conf"\n'
            'echo "listen_addresses = \'\'" >> "$CLUSTER/postgresql.conf"\n'
            'pg_ctl -D "$CLUSTER" -w -s -l "$CLUSTER/log" start\n'
            "createdb meterbook"
        )
        yield made
    finally:
        made.run('pg_ctl -D "$CLUSTER" -m immediate -s stop || true')
        shutil.rmtree(folder)


def guide_commands() -> list[str]:
    """Return the guide's blocks: names, archive, base backup, going back."""
    section = GUIDE.read_text(encoding="utf-8").split("## Point in time")[1]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def record(database: Database, *, first: int, count: int) -> None:
    for number in range(first, first + count):
        stamp = START + (number // 5 + 1) * 1800 + 60
        record_packets(database, [Packet(1 + number % 5, stamp, number)])


def whole_book(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with database.reading() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in tables.sorted_tables
        }


def test_the_guides_commands_bring_the_book_back_to_the_instant(cluster: Cluster) -> None:
    names, archive, base, back = guide_commands()
    assert re.findall(r"^(\w+)=", names, re.MULTILINE) == list(cluster.names)
    database = Database(f"postgresql+psycopg://postgres@/meterbook?host={cluster.folder}")
    migrate(database)
    record(database, first=0, count=50)
    database.close()

    cluster.run(archive)
    record(database, first=50, count=50)
    cluster.run(base)
    record(database, first=100, count=150)
    close_day(database, day=DAY, zone=ZoneInfo("UTC"), now=NOW)
    book = whole_book(database)
    with database.reading() as connection:
        instant = connection.exec_driver_sql("SELECT clock_timestamp()::text").scalar_one()
    record(database, first=250, count=100)
    close_day(database, day=DAY, zone=ZoneInfo("UTC"), now=NOW + 60)
    assert whole_book(database) != book
    database.close()

    cluster.run(re.sub(r"^INSTANT=.*$", f"INSTANT='{instant}'", back, flags=re.MULTILINE))

    assert whole_book(database) == book
    with database.reading() as connection:
        assert [finding for check in CHECKS.values() for finding in check(connection)] == []
    record(database, first=250, count=100)  # the book goes on from there
    database.close()
