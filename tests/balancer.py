"""
A balancer as a proxy is one: it asks each node's health, and keeps connections open.

It never sends a request twice, so a node that cuts one off fails it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

ASK_EVERY_S = 0.1


class Balancer:
    """Spreads requests over the nodes that say they are ready, in turns."""

    def __init__(self, session: aiohttp.ClientSession, urls: list[str]) -> None:
        self.failed: list[str] = []
        self.answered = 0
        self._session = session
        self._ready = dict.fromkeys(urls, True)
        self._turn = 0

    def replace(self, old: str, new: str) -> None:
        """Send to another node from now on, once it is ready."""
        del self._ready[old]
        self._ready[new] = False

    async def request(self, method: str, path: str, **options: Any) -> int:
        """Send it to one node and return the status; 0 and a note if the node failed it."""
        url = self._next()
        if url is None:
            self.failed.append(f"{method} {path}: no node is ready")
            await asyncio.sleep(ASK_EVERY_S)
            return 0
        try:
            async with self._session.request(method, url + path, **options) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            self.failed.append(f"{method} {path}: {type(error).__name__} {error}")
            return 0
        self.answered += 1
        if answer.status >= 500:
            self.failed.append(f"{method} {path}: {answer.status}")
        return answer.status

    async def ask(self) -> None:
        """Ask every node whether it is ready, again and again."""
        while True:
            for url in list(self._ready):
                is_ready = await self._is_ready(url)
                if url in self._ready:
                    self._ready[url] = is_ready
            await asyncio.sleep(ASK_EVERY_S)

    async def until_ready(self, url: str) -> None:
        """Wait until requests go to that node."""
        while not self._ready[url]:  # noqa: ASYNC110 `ask` sets no event
            await asyncio.sleep(ASK_EVERY_S)

    def _next(self) -> str | None:
        ready = [url for url, is_ready in self._ready.items() if is_ready]
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None

    async def _is_ready(self, url: str) -> bool:
        try:
            async with self._session.get(f"{url}/health/ready") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False


@asynccontextmanager
async def balancing(urls: list[str]) -> AsyncIterator[Balancer]:
    """Give a balancer that knows which of the nodes are ready."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        session._retry_connection = False
        balancer = Balancer(session, urls)
        asking = asyncio.create_task(balancer.ask())
        try:
            yield balancer
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
