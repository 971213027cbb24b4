"""
Group commit: many waiting requests, one commit.

While one commit is in flight arrivals gather; when it ends they go together in the next. No
timer, no fixed batch: a lone request is committed at once, a crowd shares one fsync, and each
waits about two commits.

    arrivals   a b │ c d e f │ g h ...
    commits        └─ a b ───┴─ c d e f ───┴─ g h ...
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from prometheus_client import Gauge, Histogram

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_READINGS_MAX = 2_000  # one commit stays under 50 ms on the slowest disk we measured
COMMIT_SECONDS = Histogram(
    "meterbook_commit_seconds",
    "Time of one group commit, fsync included.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
COMMIT_READINGS = Histogram(
    "meterbook_commit_readings",
    "Readings in one group commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)
QUEUE_READINGS = Gauge("meterbook_queue_readings", "Readings waiting for the next commit.")


class QueueFullError(RuntimeError):
    """More readings wait than the limit; the sender is asked to come back."""


class _SharedFuture(asyncio.Future[Sequence[Result]]):
    """A future many requests wait for: one that hangs up must not cancel it for the others."""

    def cancel(self, msg: object | None = None) -> bool:  # noqa: ARG002 asyncio's signature
        return False


class _Batch(Generic[Item, Result]):
    __slots__ = ("done", "items")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.items: list[Item] = []
        self.done: _SharedFuture[Result] = _SharedFuture(loop=loop)


class GroupCommit(Generic[Item, Result]):
    """Gathers items of one event loop and commits them together in a thread of its own."""

    def __init__(self, commit: Callable[[list[Item]], Sequence[Result]], *, queue_max: int) -> None:
        """
        Prepare; the first `add` starts it.

        :param commit: stores the items durably and returns one result for each, or raises.
        :param queue_max: how many items may wait, the bound on memory.
        """
        self._commit = commit
        self._queue_max = queue_max
        self._batches: list[_Batch[Item, Result]] = []
        self._waiting = 0
        self._in_flight: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="group-commit")

    async def add(self, item: Item) -> Result:
        """
        Return the result once the item is on disk.

        :raises QueueFullError: if too many wait; nothing was stored.
        :raises Exception: what the commit raised; whether anything was stored is the commit's.
        """
        if self._waiting >= self._queue_max:
            raise QueueFullError(f"{self._waiting} readings wait to be stored")
        batch = self._open_batch()
        index = len(batch.items)
        batch.items.append(item)
        self._waiting += 1
        if self._in_flight is None:
            self._in_flight = asyncio.get_running_loop().create_task(self._run())
        return (await batch.done)[index]

    async def close(self) -> None:
        """Wait until everything that was added is committed."""
        while self._in_flight is not None:
            await asyncio.wait([self._in_flight])
        self._thread.shutdown()

    def _open_batch(self) -> _Batch[Item, Result]:
        if not self._batches or len(self._batches[-1].items) >= BATCH_READINGS_MAX:
            self._batches.append(_Batch(asyncio.get_running_loop()))
        return self._batches[-1]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._batches:
                # Requests that are here already go along: half the commits, none of the waiting.
                await asyncio.sleep(0)
                batch = self._batches.pop(0)
                self._waiting -= len(batch.items)
                QUEUE_READINGS.set(self._waiting)
                COMMIT_READINGS.observe(len(batch.items))
                with COMMIT_SECONDS.time():
                    await self._commit_batch(loop, batch)
        finally:
            self._in_flight = None

    async def _commit_batch(
        self, loop: asyncio.AbstractEventLoop, batch: _Batch[Item, Result]
    ) -> None:
        try:
            results = await loop.run_in_executor(self._thread, self._commit, batch.items)
        except Exception as error:  # noqa: BLE001 every waiting request must learn of it
            batch.done.set_exception(error)
            batch.done.exception()  # marks it seen, in case every client has hung up
        else:
            batch.done.set_result(results)
