"""
Gathering: many waiting requests, one call of what answers them all.

While one call runs in its thread arrivals gather; when it ends they go together into the next. No
timer, no fixed batch: a lone request goes at once, a crowd shares one call, and each waits about
two of them.

    arrivals   a b │ c d e f │ g h ...
    calls          └─ a b ───┴─ c d e f ───┴─ g h ...
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(RuntimeError):
    """More wait than the limit; the sender is asked to come back."""


class _SharedFuture(asyncio.Future[Sequence[Result]]):
    """A future many requests wait for: one that hangs up must not cancel it for the others."""

    def cancel(self, msg: object | None = None) -> bool:  # noqa: ARG002 asyncio's signature
        return False


class Batch(Generic[Item, Result]):
    """Items that go together, and the future of their results."""

    __slots__ = ("called", "done", "items")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin without items."""
        self.items: list[Item] = []
        self.called: list[tuple[int, Callable[[Result | Exception], None]]] = []
        self.done: _SharedFuture[Result] = _SharedFuture(loop=loop)


class Gathering(Generic[Item, Result]):
    """Gathers items of one event loop and hands them together to a thread of its own."""

    def __init__(
        self,
        answer: Callable[[list[Item]], Sequence[Result]],
        *,
        queue_max: int,
        batch_max: int,
        thread_name: str,
    ) -> None:
        """
        Prepare; the first `add` starts it.

        :param answer: returns one result for each item, in their order, or raises.
        :param queue_max: how many items may wait, the bound on memory.
        :param batch_max: how many items go into one call.
        """
        self._answer = answer
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._batches: list[Batch[Item, Result]] = []
        self._waiting = 0
        self._in_flight: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=thread_name)

    async def add(self, item: Item) -> Result:
        """
        Return the item's result.

        :raises QueueFullError: if too many wait; nothing was done.
        :raises Exception: what the call raised.
        """
        batch, index = self._added(item)
        return (await batch.done)[index]

    def hand(self, item: Item, then: Callable[[Result | Exception], None]) -> None:
        """
        Call `then` with the item's result, or with what the call raised.

        The way without a task.

        :raises QueueFullError: if too many wait; nothing was done, and nothing will be called.
        """
        batch, index = self._added(item)
        batch.called.append((index, then))

    async def close(self) -> None:
        """Wait until everything that was added is answered."""
        while self._in_flight is not None:
            await asyncio.wait([self._in_flight])
        self._thread.shutdown()

    def _added(self, item: Item) -> tuple[Batch[Item, Result], int]:
        if self._waiting >= self._queue_max:
            raise QueueFullError(f"{self._waiting} wait already")
        batch = self._open_batch()
        index = len(batch.items)
        batch.items.append(item)
        self._waiting += 1
        if self._in_flight is None:
            self._in_flight = asyncio.get_running_loop().create_task(self._run())
        return batch, index

    def _open_batch(self) -> Batch[Item, Result]:
        if not self._batches or len(self._batches[-1].items) >= self._batch_max:
            self._batches.append(Batch(asyncio.get_running_loop()))
        return self._batches[-1]

    async def _run(self) -> None:
        try:
            while self._batches:
                # Requests that are here already go along: half the calls, none of the waiting.
                await asyncio.sleep(0)
                batch = self._batches.pop(0)
                self._waiting -= len(batch.items)
                await self._answer_batch(batch)
        finally:
            self._in_flight = None

    async def _answer_batch(self, batch: Batch[Item, Result]) -> None:
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._answer, batch.items)
        except Exception as error:  # noqa: BLE001 every waiting request must learn of it
            batch.done.set_exception(error)
            batch.done.exception()  # marks it seen, in case every client has hung up
            for _, then in batch.called:
                _call(loop, then, error)
        else:
            batch.done.set_result(results)
            for index, then in batch.called:
                _call(loop, then, results[index])


def _call(
    loop: asyncio.AbstractEventLoop,
    then: Callable[[Result | Exception], None],
    result: Result | Exception,
) -> None:
    try:
        then(result)
    except Exception as error:  # noqa: BLE001 one that fails must not silence the others
        loop.call_exception_handler({"message": "an answer was not given", "exception": error})
