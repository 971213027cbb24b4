"""
Gathering: many waiting requests, one call of what answers them all.

A thread takes all that wait, answers them with one call, and takes what has come meanwhile. No
timer, no fixed batch, no word from the event loop in between: a lone request goes at once, a crowd
shares calls, and both threads always have work. (While the loop gathered whole batches, all its
clients came to wait for the same call, and each thread for the other: a third of the throughput.)

    arrivals   a │ b c │ d e f │ g h ...
    calls      └─ a ───┴─ b c ─┴─ d e f ...
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(RuntimeError):
    """More wait than the limit; the sender is asked to come back."""


Told = Callable[[Result | Exception], None]


class Gathering(Generic[Item, Result]):
    """Gathers items of one event loop for a thread of its own."""

    def __init__(
        self,
        answer: Callable[[list[Item]], Sequence[Result | Exception]],
        *,
        queue_max: int,
        batch_max: int,
        thread_name: str,
    ) -> None:
        """
        Prepare; the first item starts it.

        :param answer: returns one result for each item, in their order, or what was raised in its
            place; or raises for all of them.
        :param queue_max: how many items may wait for their call, the bound on memory.
        :param batch_max: how many items go into one call.
        """
        self._answer = answer
        self._queue_max = queue_max
        self._batch_max = batch_max
        # One thread appends, the other takes from the front: single steps of the interpreter.
        self._waiting: list[tuple[Item, Told[Result]]] = []
        self._bell = threading.Lock()  # locked: nobody has rung since the thread last looked
        self._bell.acquire()
        self._is_over = False
        self._unanswered = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._thread: threading.Thread | None = None
        self._thread_name = thread_name

    @property
    def waiting(self) -> int:
        """How many items wait for their call."""
        return len(self._waiting)

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

    def hand(self, item: Item, then: Told[Result]) -> None:
        """
        Call `then` with the item's result, or with what the call raised.

        The way without a task.

        :raises QueueFullError: if too many wait; nothing was done, and nothing will be called.
        """
        waiting = self._waiting
        if len(waiting) >= self._queue_max:
            raise QueueFullError(f"{len(waiting)} wait already")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work,
                args=[asyncio.get_running_loop()],
                name=self._thread_name,
                daemon=True,
            )
            self._thread.start()
        if not self._unanswered:
            self._is_idle.clear()
        self._unanswered += 1
        waiting.append((item, then))
        self._ring()

    async def close(self) -> None:
        """Wait until everything that was added is answered."""
        while self._unanswered:  # whoever is answered may ask again before we are woken
            await self._is_idle.wait()
        if self._thread is not None:
            self._is_over = True
            self._ring()
            self._thread.join()
            self._thread, self._is_over = None, False

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._is_over:
            batch = self._waiting[: self._batch_max]
            if not batch:
                self._bell.acquire()
                continue
            del self._waiting[: len(batch)]
            items, told = zip(*batch, strict=True)
            results: Sequence[Result | Exception] | Exception
            try:
                results = self._answer([*items])
            except Exception as error:  # noqa: BLE001 every waiting request must learn of it
                results = error
            loop.call_soon_threadsafe(self._ended, loop, told, results)

    def _ended(
        self,
        loop: asyncio.AbstractEventLoop,
        told: Sequence[Told[Result]],
        results: Sequence[Result | Exception] | Exception,
    ) -> None:
        self._unanswered -= len(told)
        if not self._unanswered:
            self._is_idle.set()
        each = [results] * len(told) if isinstance(results, Exception) else results
        for then, result in zip(told, each, strict=True):
            try:
                then(result)
            except Exception as error:  # noqa: BLE001 one that fails must not silence the others
                what = {"message": "an answer was not given", "exception": error}
                loop.call_exception_handler(what)
