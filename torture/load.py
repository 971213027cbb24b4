"""
A load of packets that remembers what was acknowledged.

Each packet is for an interval of its own and is sent again, unchanged, now and then: a repetition
may neither be lost nor counted twice. A packet that was not acknowledged may be there or not.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import aiohttp

from meterbook.domain.local_days import utc_text
from torture.promises import Key, Promises

CONNECTIONS = 64
FIRST_STAMP = 1_767_225_600 + 60  # 2026-01-01T00:01Z
METERS = 997
REPEATED_SHARE = 0.02
STORED = {200, 201}
LOAD_S_MAX = 20
_TIMEOUT = aiohttp.ClientTimeout(total=30)


class Sender:
    """Sends packets and remembers which were acknowledged."""

    def __init__(self, *, seed: int, first_stamp: int = FIRST_STAMP) -> None:
        """
        Prepare; sends nothing yet.

        :param first_stamp: of the newest packets; the others are ever older.
        """
        self.promises = Promises()
        self.refusals: dict[int, int] = {}
        """HTTP status to how often it was the answer."""
        self.hung_up = 0
        self._first_stamp = first_stamp
        self._chance = random.Random(seed)
        self._count = 0

    def next_packet(self) -> tuple[Key, int]:
        """Return a packet never sent before; its value tells it from every other."""
        self._count += 1
        meter_id = 1 + self._count % METERS
        starts_at = self._first_stamp - 60 - 1800 * (1 + self._count // METERS)
        return (meter_id, starts_at), self._count % 1_000_000

    async def load(
        self,
        url: str,
        *,
        stop: asyncio.Event,
        goes_on: bool = False,
        on_acknowledged: Callable[[Key, int], object] = lambda _key, _energy_wh: None,
    ) -> None:
        """
        Keep the connections busy until told to stop or, unless it goes on, the server is gone.

        :param on_acknowledged: called with each key and its energy the moment it is acknowledged.
        """
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            work = [
                self._connection(session, url, stop, goes_on, on_acknowledged)
                for _ in range(CONNECTIONS)
            ]
            await asyncio.gather(*work)

    async def load_until(
        self,
        url: str,
        *,
        acknowledged: int,
        strike: Callable[[], None] = lambda: None,
        goes_on: bool = False,
        on_acknowledged: Callable[[Key, int], object] = lambda _key, _energy_wh: None,
    ) -> None:
        """
        Load until so many more are acknowledged, or a while has passed, and strike under load.

        :param strike: called in a thread; the load goes on until it returns.
        """
        stop, enough = asyncio.Event(), asyncio.Event()
        left = acknowledged

        def count(key: Key, energy_wh: int) -> None:
            nonlocal left
            left -= 1
            on_acknowledged(key, energy_wh)
            if left <= 0:
                enough.set()

        load = asyncio.create_task(
            self.load(url, stop=stop, goes_on=goes_on, on_acknowledged=count)
        )
        reached = asyncio.create_task(enough.wait())
        try:
            await asyncio.wait(
                [load, reached], timeout=LOAD_S_MAX, return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.to_thread(strike)
        finally:
            reached.cancel()
            stop.set()
            await load

    async def _connection(
        self,
        session: aiohttp.ClientSession,
        url: str,
        stop: asyncio.Event,
        goes_on: bool,
        on_acknowledged: Callable[[Key, int], object],
    ) -> None:
        while not stop.is_set():
            key, energy_wh = self._next()
            packet = {
                "id": key[0],
                "timestamp": utc_text(key[1] + 1860),
                "reading_kWh": energy_wh / 1000,
            }
            self.promises.sent[key] = energy_wh
            try:
                async with session.post(f"{url}/meter", json=packet) as answer:
                    if answer.status in STORED:
                        self.promises.acknowledged[key] = energy_wh
                        on_acknowledged(key, energy_wh)
                        continue
                    self.refusals[answer.status] = self.refusals.get(answer.status, 0) + 1
            except (aiohttp.ClientError, OSError):
                self.hung_up += 1
                if not goes_on:
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.02)

    def _next(self) -> tuple[Key, int]:
        if self.promises.acknowledged and self._chance.random() < REPEATED_SHARE:
            key = next(reversed(self.promises.acknowledged))
            return key, self.promises.acknowledged[key]
        return self.next_packet()
