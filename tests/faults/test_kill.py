"""
kill -9 at random moments under load: what was acknowledged is there, once, with its value.

The control is a server that acknowledges before its commit: the same test must catch it.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa

from meterbook.domain.local_days import utc_text
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import daybook, installations
from servers import Server, running_server

KILLS = int(os.environ.get("METERBOOK_TEST_KILLS", "50"))
CONTROL_KILLS_MAX = 20
CONNECTIONS = 64
LOAD_S_MIN, LOAD_S_MAX = 0.05, 0.6
FIRST_STAMP = 1_767_225_600 + 60  # 2026-01-01T00:01Z
HERE = Path(__file__).parent

Key = tuple[int, int]
"""meter_id, starts_at."""


class Sender:
    """Sends each packet once, and remembers which were acknowledged."""

    def __init__(self) -> None:
        self.sent: dict[Key, int] = {}
        self.acknowledged: dict[Key, int] = {}
        self._count = 0

    def next_packet(self) -> tuple[Key, int]:
        """Return a packet never sent before; its value tells it from every other."""
        self._count += 1
        meter_id = 1 + self._count % 997
        starts_at = FIRST_STAMP - 60 - 1800 * (1 + self._count // 997)
        return (meter_id, starts_at), self._count % 1_000_000

    async def load(self, url: str, *, stop: asyncio.Event) -> None:
        """Keep 64 connections busy until told to stop or the server is gone."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(
                *(self._connection(session, url, stop) for _ in range(CONNECTIONS))
            )

    async def _connection(
        self, session: aiohttp.ClientSession, url: str, stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            key, energy_wh = self.next_packet()
            self.sent[key] = energy_wh
            packet = {
                "id": key[0],
                "timestamp": utc_text(key[1] + 1860),
                "reading_kWh": energy_wh / 1000,
            }
            try:
                async with session.post(f"{url}/meter", json=packet) as answer:
                    if answer.status == 201:
                        self.acknowledged[key] = energy_wh
            except (aiohttp.ClientError, OSError):
                return


async def load_and_kill(server: Server, sender: Sender, *, seconds: float) -> None:
    stop = asyncio.Event()
    load = asyncio.create_task(sender.load(server.url, stop=stop))
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.kill)
    stop.set()
    await load


def stored_packets(database: Database) -> list[tuple[Key, int]]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(installations.c.meter_id, daybook.c.starts_at, daybook.c.amount).join(
                installations, installations.c.channel_id == daybook.c.channel_id
            )
        )
        return [((row[0], row[1]), row[2]) for row in rows]


def run_kills(
    folder: Path, database_url: str, sender: Sender, *, kills: int, command: Sequence[str]
) -> None:
    chance = random.Random(20260101)
    for _ in range(kills):
        with running_server(folder, database_url=database_url, command=command) as server:
            seconds = chance.uniform(LOAD_S_MIN, LOAD_S_MAX)
            asyncio.run(load_and_kill(server, sender, seconds=seconds))


@pytest.mark.timeout(600)
def test_every_acknowledged_packet_survives_kill_9_exactly_once_with_its_value(
    database_url: str, tmp_path: Path
) -> None:
    sender = Sender()
    run_kills(
        tmp_path / "data", database_url, sender, kills=KILLS, command=("-m", "meterbook", "serve")
    )

    database = Database(database_url)
    stored = stored_packets(database)
    by_key = dict(stored)
    assert len(sender.acknowledged) > KILLS * CONNECTIONS
    assert len(by_key) == len(stored)
    assert {key: by_key.get(key) for key in sender.acknowledged} == sender.acknowledged
    assert {key: sender.sent.get(key) for key in by_key} == by_key
    for check in CHECKS.values():
        with database.reading() as connection:
            assert list(check(connection)) == []
    database.close()


def test_the_control_that_acknowledges_before_its_commit_is_caught(
    database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    migrate(database)
    sender = Sender()
    lost: set[Key] = set()
    for _ in range(CONTROL_KILLS_MAX):
        command = (str(HERE / "early_ack_server.py"),)
        run_kills(tmp_path / "data", database_url, sender, kills=1, command=command)
        lost = sender.acknowledged.keys() - dict(stored_packets(database)).keys()
        if lost:
            break
    database.close()
    assert lost, "the test cannot tell a server that loses packets"
