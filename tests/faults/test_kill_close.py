"""A day close killed at any chunk boundary, and run again, leads to the same ledger."""

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from books import ledger_content, record_packets
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.rollups.upkeep import broken_rollups
from meterbook.storage.database import Database
from meterbook.storage.dialects import is_distributed

DAY = date(2025, 2, 8)
UTC = ZoneInfo("UTC")
METERS = 40
CHANNELS_PER_CHUNK = 10
CHILD = Path(__file__).with_name("closing_child.py")


def packets() -> list[Packet]:
    starts = interval_starts(DAY, UTC)
    return [
        Packet(meter_id, start + 1860, meter_id * 1000 + index)
        for meter_id in range(1, METERS + 1)
        for index, start in enumerate(starts[: 47 - meter_id % 3])
    ]


@pytest.fixture(scope="module")
def undisturbed(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Give the ledger of a close that nobody killed."""
    file = tmp_path_factory.mktemp("undisturbed") / "meterbook.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{file}")
    record_packets(database, packets())
    close_day(database, day=DAY, zone=UTC, now=1_760_000_000)
    content = ledger_content(database)
    database.close()
    return content


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("chunk", range(1, METERS // CHANNELS_PER_CHUNK + 1))
def test_a_close_killed_at_a_chunk_boundary_leads_to_the_same_ledger(
    database: Database, database_url: str, undisturbed: object, chunk: int, moment: str
) -> None:
    record_packets(database, packets())
    arguments = [database_url, DAY.isoformat(), str(chunk), moment, str(CHANNELS_PER_CHUNK), "1"]
    killed = subprocess.run(
        [sys.executable, str(CHILD), *arguments], check=False, stdout=subprocess.PIPE, text=True
    )
    assert killed.returncode == -signal.SIGKILL
    done = [0, *map(int, killed.stdout.split())]
    if not is_cluster(database):  # whose chunks are of one shard each, so some are smaller
        assert done == [*range(0, METERS + 1, CHANNELS_PER_CHUNK)][: chunk + (moment == "after")]
    assert len(ledger_content(database)) == done[-1]

    assert wrong_rollups(database) == []
    close_day(database, day=DAY, zone=UTC, now=1_760_000_000)

    assert ledger_content(database) == undisturbed
    assert wrong_rollups(database) == []


@pytest.mark.parametrize("url", ["postgres_url", "distributed_url"])
def test_a_close_of_several_chunks_at_once_killed_leads_to_the_same_ledger(
    url: str, request: pytest.FixtureRequest, undisturbed: object
) -> None:
    database_url = str(request.getfixturevalue(url))
    database = Database(database_url)
    record_packets(database, packets())
    arguments = [database_url, DAY.isoformat(), "2", "before", str(CHANNELS_PER_CHUNK), "3"]
    killed = subprocess.run([sys.executable, str(CHILD), *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(ledger_content(database)) < METERS
    assert wrong_rollups(database) == []
    close_day(database, day=DAY, zone=UTC, now=1_760_000_000, channels_per_chunk=4, closers=3)

    assert ledger_content(database) == undisturbed
    assert wrong_rollups(database) == []
    database.close()


def is_cluster(database: Database) -> bool:
    with database.reading() as connection:
        return is_distributed(connection)


def wrong_rollups(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(broken_rollups(connection))
