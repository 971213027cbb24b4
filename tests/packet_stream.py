"""A stream of packets from many meters, each sent once, and what was answered."""

import asyncio
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from meterbook.domain.local_days import utc_text
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from meterbook.storage.tables import daybook, installations

FIRST_START = 1_767_225_600  # 2026-01-01
METERS = 97
WAIT_S = 120

Key = tuple[int, int]
"""meter_id, starts_at."""
Post = Callable[[dict[str, object]], Awaitable[int]]
"""Sends a packet and returns the status of the answer."""


class PacketStream:
    """Sends packets never sent before, and remembers which were acknowledged."""

    def __init__(self) -> None:
        self.sent: dict[Key, int] = {}
        self.acknowledged: dict[Key, int] = {}

    def next_packet(self) -> tuple[Key, dict[str, object]]:
        """Return a packet whose value tells it from every other."""
        number = len(self.sent) + 1
        key = (1 + number % METERS, FIRST_START - 1800 * (number // METERS))
        self.sent[key] = number % 1_000_000
        stamp = utc_text(key[1] + 1860)
        return key, {"id": key[0], "timestamp": stamp, "reading_kWh": self.sent[key] / 1000}

    async def run(self, post: Post, *, stop: asyncio.Event, pause_s: float) -> None:
        """Send one after the other, pause_s apart, until told to stop."""
        while not stop.is_set():
            key, packet = self.next_packet()
            if await post(packet) == 201:
                self.acknowledged[key] = self.sent[key]
            await asyncio.sleep(pause_s)

    async def until_acknowledged(self, more: int) -> None:
        """Wait until so many more packets are acknowledged."""
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(WAIT_S):
            while len(self.acknowledged) < wanted:  # noqa: ASYNC110 whoever sends sets no event
                await asyncio.sleep(0.02)


def stored_packets(database: Database) -> list[tuple[Key, int]]:
    """Return the packets of the open days: whose, of when, Wh."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(installations.c.meter_id, daybook.c.starts_at, daybook.c.amount).join(
                installations, installations.c.channel_id == daybook.c.channel_id
            )
        )
        return [((row[0], row[1]), row[2]) for row in rows]


def must_be_whole(database: Database, stream: PacketStream) -> None:
    """Make sure that what was acknowledged is there, once, with its value, and nothing else is."""
    stored = [item for item in stored_packets(database) if item[0] in stream.sent]
    assert len(stream.acknowledged) > 200
    assert dict(stored) == stream.acknowledged
    assert len(stored) == len(stream.acknowledged)
    with database.reading() as connection:
        assert [finding for check in CHECKS.values() for finding in check(connection)] == []
