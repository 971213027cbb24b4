"""Group commit: gathers while a commit is in flight, and answers each with its own result."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from meterbook.intake.group_commit import BATCH_READINGS_MAX, GroupCommit, QueueFullError


class Book:
    """Commits that wait until they are let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_end = threading.Semaphore(0)
        self.failure: Exception | None = None

    def commit(self, items: list[int]) -> list[int]:
        """Remember the batch, wait, and answer each item with its tenfold."""
        self.batches.append(items)
        assert self.may_end.acquire(timeout=10)
        if self.failure:
            raise self.failure
        return [item * 10 for item in items]


def run(scenario: Callable[[Book, GroupCommit[int, int]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        book = Book()
        commits: GroupCommit[int, int] = GroupCommit(book.commit, queue_max=10_000)
        try:
            await scenario(book, commits)
        finally:
            for _ in range(20):
                book.may_end.release()
            await commits.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 what is waited for happens in another thread
            await asyncio.sleep(0.001)


def test_what_arrives_during_a_commit_goes_together_in_the_next() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        first = asyncio.create_task(commits.add(1))
        await until(lambda: book.batches == [[1]])
        others = [asyncio.create_task(commits.add(item)) for item in (2, 3, 4)]
        await asyncio.sleep(0.01)
        assert book.batches == [[1]]
        book.may_end.release()
        assert await first == 10
        await until(lambda: len(book.batches) == 2)
        book.may_end.release()
        assert await asyncio.gather(*others) == [20, 30, 40]
        assert book.batches == [[1], [2, 3, 4]]

    run(scenario)


def test_the_next_commit_does_not_wait_for_the_event_loop() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        told: list[int | Exception] = []
        commits.hand(1, told.append)
        await until(lambda: book.batches == [[1]])
        commits.hand(2, told.append)
        commits.hand(3, told.append)
        book.may_end.release()
        ends = time.monotonic() + 10
        while len(book.batches) < 2 and time.monotonic() < ends:
            time.sleep(0.001)  # noqa: ASYNC251 the loop is busy, that is what is tried
        assert book.batches == [[1], [2, 3]]
        assert told == []
        book.may_end.release()
        await until(lambda: told == [10, 20, 30])

    run(scenario)


def test_nobody_is_answered_before_the_commit_has_ended() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        waiting = asyncio.create_task(commits.add(1))
        await until(lambda: bool(book.batches))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        book.may_end.release()
        assert await waiting == 10

    run(scenario)


def test_a_client_that_hangs_up_takes_nobody_with_it() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        leaving = asyncio.create_task(commits.add(1))
        await until(lambda: book.batches == [[1]])
        staying = asyncio.create_task(commits.add(2))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.sleep(0.01)
        book.may_end.release()
        book.may_end.release()
        assert await staying == 20
        with pytest.raises(asyncio.CancelledError):
            await leaving

    run(scenario)


def test_a_commit_that_fails_is_told_to_all_of_its_batch_and_the_next_goes_on() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        first = asyncio.create_task(commits.add(0))
        await until(lambda: book.batches == [[0]])
        failing = [asyncio.create_task(commits.add(item)) for item in (1, 2)]
        await asyncio.sleep(0.01)
        book.may_end.release()
        assert await first == 0
        await until(lambda: book.batches == [[0], [1, 2]])
        book.failure = OSError("disk full")
        book.may_end.release()
        outcomes = await asyncio.gather(*failing, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
        book.failure = None
        book.may_end.release()
        assert await commits.add(3) == 30

    run(scenario)


def test_the_queue_is_bounded_and_says_so() -> None:
    async def main() -> None:
        book = Book()
        commits: GroupCommit[int, int] = GroupCommit(book.commit, queue_max=5)
        first = asyncio.create_task(commits.add(0))
        await until(lambda: bool(book.batches))
        waiting = [asyncio.create_task(commits.add(item)) for item in range(5)]
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError):
            await commits.add(99)
        book.may_end.release()
        book.may_end.release()
        assert await first == 0
        assert await asyncio.gather(*waiting) == [0, 10, 20, 30, 40]
        await commits.close()

    asyncio.run(main())


def test_a_crowd_is_cut_into_batches_of_bounded_size() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        count = BATCH_READINGS_MAX * 2 + 1
        crowd = [asyncio.create_task(commits.add(item)) for item in range(count)]
        await asyncio.sleep(0.01)  # all have come; the first has a commit for itself, or a few have
        book.may_end.release(count)
        assert await asyncio.gather(*crowd) == [item * 10 for item in range(count)]
        assert max(len(batch) for batch in book.batches) == BATCH_READINGS_MAX
        assert [item for batch in book.batches for item in batch] == [*range(count)]

    run(scenario)


def hang_up(_result: int | Exception) -> None:
    raise ConnectionError


def test_who_does_not_wait_is_called_with_the_result_or_the_reason() -> None:
    async def scenario(book: Book, commits: GroupCommit[int, int]) -> None:
        told: list[int | Exception] = []
        failed: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, what: failed.append(what["message"]))
        first = asyncio.create_task(commits.add(9))
        await until(lambda: book.batches == [[9]])
        commits.hand(0, hang_up)
        commits.hand(1, told.append)
        waiting = asyncio.create_task(commits.add(2))
        await asyncio.sleep(0.01)
        assert told == []
        book.may_end.release()
        book.may_end.release()
        assert (await first, await waiting) == (90, 20)
        assert book.batches == [[9], [0, 1, 2]]
        assert (told, failed) == ([10], ["an answer was not given"])
        book.failure = OSError("disk full")
        commits.hand(3, told.append)
        book.may_end.release()
        await until(lambda: len(told) == 2)
        assert told[1] is book.failure

    run(scenario)


def test_who_does_not_wait_is_refused_by_a_full_queue_and_never_called() -> None:
    async def main() -> None:
        book = Book()
        commits: GroupCommit[int, int] = GroupCommit(book.commit, queue_max=1)
        told: list[int | Exception] = []
        commits.hand(0, told.append)
        await until(lambda: bool(book.batches))
        commits.hand(1, told.append)
        with pytest.raises(QueueFullError):
            commits.hand(2, told.append)
        book.may_end.release()
        book.may_end.release()
        await commits.close()
        assert told == [0, 10]

    asyncio.run(main())


def test_an_end_waits_for_what_its_last_answer_asked_for() -> None:
    async def main() -> None:
        for _ in range(200):
            told: list[int | Exception] = []
            commits: GroupCommit[int, int] = GroupCommit(list, queue_max=10)

            def ask_again(
                found: int | Exception,
                commits: GroupCommit[int, int] = commits,
                told: list[int | Exception] = told,
            ) -> None:
                told.append(found)
                commits.hand(2, told.append)

            commits.hand(1, ask_again)
            async with asyncio.timeout(10):
                await commits.close()
            assert told == [1, 2]

    asyncio.run(main())


def test_however_fast_they_come_each_is_answered_once_in_its_order() -> None:
    async def main() -> None:
        batches: list[list[int]] = []

        def answer(items: list[int]) -> list[int]:
            batches.append(items)
            return items

        commits: GroupCommit[int, int] = GroupCommit(answer, queue_max=10_000)
        told: list[int | Exception] = []
        generator = random.Random(7)
        handed = 0
        while handed < 20_000:
            for _ in range(generator.choice((1, 1, 2, 50))):
                commits.hand(handed, told.append)
                handed += 1
            # Sometimes the thread that commits has gone to sleep by then.
            await asyncio.sleep(generator.choice((0, 0, 0, 0.0005)))
        async with asyncio.timeout(10):
            await commits.close()
        assert told == [*range(handed)]
        assert [item for batch in batches for item in batch] == told
        assert all(batches)

    asyncio.run(main())
