"""
Gathering: many waiting requests, one call of what answers them all.

While one call runs in its thread arrivals gather; when it ends they go together into the next. No
timer, no fixed batch: a lone request goes at once, a crowd shares one call, and each waits about
two of them.

    arrivals   a b │ c d e f │ g h ...
    calls          └─ a b ───┴─ c d e f ───┴─ g h ...
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(RuntimeError):
    """More wait than the limit; the sender is asked to come back."""


class Batch(Generic[Item, Result]):
    """Items that go together, and who is told of their results."""

    __slots__ = ("items", "told")

    def __init__(self) -> None:
        """Begin without items."""
        self.items: list[Item] = []
        self.told: list[Callable[[Result | Exception], None]] = []


class Gathering(Generic[Item, Result]):
    """
    Gathers items of one event loop and hands them together to a thread of its own.

    The thread takes batches from a queue: a pool of threads with its futures would cost more than
    storing three packets, each time.
    """

    def __init__(
        self,
        answer: Callable[[list[Item]], Sequence[Result]],
        *,
        queue_max: int,
        batch_max: int,
        thread_name: str,
    ) -> None:
        """
        Prepare; the first item starts it.

        :param answer: returns one result for each item, in their order, or raises.
        :param queue_max: how many items may wait, the bound on memory.
        :param batch_max: how many items go into one call.
        """
        self._answer = answer
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._batches: list[Batch[Item, Result]] = []
        self._waiting = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._calls: SimpleQueue[Batch[Item, Result] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._thread_name = thread_name

    async def add(self, item: Item) -> Result:
        """
        Return the item's result.

        :raises QueueFullError: if too many wait; nothing was done.
        :raises Exception: what the call raised.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def tell(found: Result | Exception) -> None:
            if result.done():  # whoever asked has hung up
                return
            if isinstance(found, Exception):
                result.set_exception(found)
            else:
                result.set_result(found)

        self.hand(item, tell)
        return await result

    def hand(self, item: Item, then: Callable[[Result | Exception], None]) -> None:
        """
        Call `then` with the item's result, or with what the call raised.

        The way without a task.

        :raises QueueFullError: if too many wait; nothing was done, and nothing will be called.
        """
        if self._waiting >= self._queue_max:
            raise QueueFullError(f"{self._waiting} wait already")
        if not self._batches or len(self._batches[-1].items) >= self._batch_max:
            self._batches.append(Batch())
        batch = self._batches[-1]
        batch.items.append(item)
        batch.told.append(then)
        self._waiting += 1
        if self._is_idle.is_set():
            self._is_idle.clear()
            loop = asyncio.get_running_loop()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=[loop], name=self._thread_name, daemon=True
                )
                self._thread.start()
            self._begin_soon(loop)

    async def close(self) -> None:
        """Wait until everything that was added is answered."""
        await self._is_idle.wait()
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
            self._thread = None

    def _begin_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # Requests that are here already go along: half the calls, none of the waiting.
        loop.call_soon(loop.call_soon, self._begin_next)

    def _begin_next(self) -> None:
        if not self._batches:
            self._is_idle.set()
            return
        batch = self._batches.pop(0)
        self._waiting -= len(batch.items)
        self._begun(batch)
        self._calls.put(batch)

    def _begun(self, batch: Batch[Item, Result]) -> None:
        """Note that a batch goes to its call."""

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (batch := self._calls.get()) is not None:
            results: Sequence[Result] | Exception
            try:
                results = self._answer(batch.items)
            except Exception as error:  # noqa: BLE001 every waiting request must learn of it
                results = error
            loop.call_soon_threadsafe(self._ended, loop, batch, results)

    def _ended(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Batch[Item, Result],
        results: Sequence[Result] | Exception,
    ) -> None:
        self._begin_soon(loop)
        for number, then in enumerate(batch.told):
            try:
                then(results if isinstance(results, Exception) else results[number])
            except Exception as error:  # noqa: BLE001 one that fails must not silence the others
                what = {"message": "an answer was not given", "exception": error}
                loop.call_exception_handler(what)
