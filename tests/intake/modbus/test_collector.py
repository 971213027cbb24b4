"""The collector: every host on its own and on its grid, changes, what cannot be stored."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import sqlalchemy as sa

from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.modbus_numbers import BusLimits
from meterbook.intake.group_commit import QueueFullError
from meterbook.intake.modbus import host_task
from meterbook.intake.modbus.collector import Collector
from meterbook.intake.modbus.host_task import due_after
from meterbook.intake.modbus.outbox import Outbox
from meterbook.intake.modbus.shifts import collect_in_shifts
from meterbook.registry.poll_plans import PolledHost, PollPlan
from meterbook.simulate.modbus.faults import Fault
from meterbook.simulate.modbus.server import serve_bus
from virtual_devices import QUICK, a_device, a_host, changed, run, served

OFTEN_S = 0.25


class Registry:
    """A plan that tests change."""

    def __init__(self, *hosts: PolledHost) -> None:
        self.plan = PollPlan(0, {host.host_id: host for host in hosts})

    def set(self, *hosts: PolledHost) -> None:
        """Have other hosts from now on."""
        self.plan = PollPlan(self.plan.version + 1, {host.host_id: host for host in hosts})

    def if_changed(self, version: int) -> PollPlan | None:
        """Return the plan if it is newer."""
        return None if version == self.plan.version else self.plan


class Book:
    """Keeps what is delivered; refuses as told."""

    def __init__(self) -> None:
        self.polls: list[HostPoll] = []
        self.refusal: Callable[[HostPoll], Exception | None] = lambda _: None

    async def deliver(self, poll: HostPoll) -> None:
        """Keep a poll, or refuse it."""
        error = self.refusal(poll)
        if error is not None:
            raise error
        self.polls.append(poll)

    def of(self, host_id: int) -> list[HostPoll]:
        """Return a host's polls."""
        return [poll for poll in self.polls if poll.host_id == host_id]


@asynccontextmanager
async def collecting(registry: Registry, book: Book) -> AsyncIterator[Collector]:
    collector = Collector(registry.if_changed, book.deliver, look_every_s=0.05)
    task = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def often(host: PolledHost) -> PolledHost:
    """Have a host polled more often than any setting allows."""
    return changed(host, period_s=OFTEN_S)


def two_more(book: Book, *, host_id: int) -> Callable[[], bool]:
    """Return what tells whether two more polls of a host have come."""
    count = len(book.of(host_id))
    return lambda: len(book.of(host_id)) >= count + 2


def kinds(poll: HostPoll) -> set[PollFailure]:
    """Return what went wrong in a poll."""
    return set(poll.failures.values())


async def until(is_so: Callable[[], object], *, within_s: float = 60) -> None:
    ends_at = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends_at, "did not happen"
        await asyncio.sleep(0.01)


def test_a_dead_host_delays_nobody() -> None:
    async def work() -> None:
        async with (
            served(a_device("sdm120")) as first,
            served(a_device("sdm120"), a_device("sdm120", Fault.SILENCE)) as second,
            served(a_device("sdm120", Fault.SILENCE)) as silent,
        ):
            # Whoever waited for the last one would wait longer than the test does.
            endless = BusLimits(timeout_ms=600_000)
            hosts = [
                often(a_host(first.port, "sdm120", host_id=1)),
                often(a_host(second.port, "sdm120", host_id=2)),
                often(a_host(second.port, "sdm120", host_id=3, slave=2, limits=QUICK)),
                often(a_host(silent.port, "sdm120", host_id=4, limits=endless)),
            ]
            book = Book()
            async with collecting(Registry(*hosts), book):
                await until(lambda: silent.bus.requests)
                await until(two_more(book, host_id=1))
                await until(two_more(book, host_id=2))
                await until(lambda: book.of(3))
        assert not any(poll.failures for host_id in (1, 2) for poll in book.of(host_id))
        assert book.of(4) == []
        [kind] = {kind for poll in book.of(3) for kind in poll.failures.values()}
        assert kind is PollFailure.TIMEOUT

    run(work())


def test_changes_act_without_a_restart() -> None:
    async def work() -> None:
        async with served(a_device("sdm120")) as first, served(a_device("sdm120")) as other:
            one = often(a_host(first.port, "sdm120", host_id=1, names=["current"]))
            two = often(a_host(other.port, "sdm120", host_id=2))
            registry, book = Registry(one), Book()
            async with collecting(registry, book):
                await until(lambda: book.of(1))
                assert book.of(1)[0].amounts.keys() == {"current"}
                registry.set(often(a_host(other.port, "sdm120", host_id=1)), two)
                await until(lambda: book.of(2) and len(book.of(1)[-1].amounts) > 1)
                registry.set(two)
                await until(two_more(book, host_id=2))
                count = len(book.of(1))
                await until(two_more(book, host_id=2))
                assert len(book.of(1)) == count

    run(work())


def test_a_device_that_returns_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_task, "BACK_OFF_S", 0.2)

    async def work() -> None:
        async with served(a_device("sdm120")) as server:
            host = often(a_host(server.port, "sdm120"))
            book = Book()
            async with collecting(Registry(host), book):
                await until(lambda: book.polls)
                await server.close()
                await until(lambda: unreachable <= kinds(book.polls[-1]))
                again = await serve_bus(server.bus, port=server.port)
                await until(lambda: not book.polls[-1].failures)
                await again.close()

    unreachable = {PollFailure.UNREACHABLE}
    run(work())


def test_a_host_taken_away_while_it_is_read_leaves_no_connection_behind() -> None:
    async def work() -> None:
        async with served(a_device("sdm120", Fault.SLOW)) as gone, served(a_device()) as other:
            registry, book = Registry(often(a_host(gone.port, "sdm120"))), Book()
            async with collecting(registry, book) as collector:
                await until(lambda: gone.bus.requests)
                asked = gone.bus.requests
                registry.set(often(a_host(other.port, host_id=2)))
                await until(lambda: book.of(2) and not collector._ending)
                await until(lambda: not gone.connections, within_s=5)
                assert gone.bus.requests == asked
        assert book.of(1) == []

    run(work())


def test_turns_lie_on_the_period_and_are_spread() -> None:
    host = a_host(1)
    hosts = [changed(host, host_id=number, period_s=60) for number in range(1, 1001)]
    dues = [due_after(1_760_000_040.0, host) % 60 for host in hosts]
    assert all(0 <= due < 15 for due in dues)
    quarters = Counter(int(due // 1.5) for due in dues)
    assert min(quarters.values()) > 90
    for host in hosts[:50]:
        due = due_after(1_760_000_040.0, host)
        assert due_after(due, host) - due == 60


def test_what_cannot_be_stored_waits_and_is_stored_in_order() -> None:
    async def work() -> None:
        book = Book()
        outbox = Outbox(book.deliver)
        task = asyncio.create_task(outbox.run())
        away = sa.exc.OperationalError("", {}, OSError())
        book.refusal = lambda poll: away if poll.host_id % 2 else QueueFullError("")
        for number in range(10):
            outbox.put(a_poll(number))
        await asyncio.sleep(0.1)
        assert book.polls == []
        book.refusal = lambda _: None
        await until(lambda: len(book.polls) == 10)
        task.cancel()
        assert [poll.host_id for poll in book.polls] == list(range(10))
        assert outbox.dropped == 0

    run(work())


def test_too_many_waiting_cost_the_oldest_and_are_counted() -> None:
    async def work() -> None:
        book = Book()
        outbox = Outbox(book.deliver, polls_max=3)
        for number in range(10):
            outbox.put(a_poll(number))
        await outbox.drain(within_s=1)
        assert [poll.host_id for poll in book.polls] == [7, 8, 9]
        assert outbox.dropped == 7

    run(work())


def test_a_poll_that_is_refused_for_its_own_sake_holds_no_other_up() -> None:
    async def work() -> None:
        book = Book()
        book.refusal = lambda poll: ValueError("no") if poll.host_id == 3 else None
        outbox = Outbox(book.deliver)
        task = asyncio.create_task(outbox.run())
        for number in range(5):
            outbox.put(a_poll(number))
        await until(lambda: len(book.polls) == 4 and outbox.dropped == 1)
        task.cancel()

    run(work())


def test_polls_are_stored_before_the_collector_ends() -> None:
    async def work() -> None:
        begun: list[HostPoll] = []
        slow = Book()

        async def deliver(poll: HostPoll) -> None:
            begun.append(poll)
            await asyncio.sleep(0.3)
            await slow.deliver(poll)

        async with served(a_device("sdm120")) as server:
            registry = Registry(often(a_host(server.port, "sdm120")))
            collector = Collector(registry.if_changed, deliver, look_every_s=0.05)
            task = asyncio.create_task(collector.run())
            await until(lambda: begun)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert begun[0] in slow.polls

    run(work())


def test_one_of_many_polls_and_another_takes_over() -> None:
    async def work() -> None:
        async with served(a_device("sdm120")) as server:
            registry = Registry(often(a_host(server.port, "sdm120")))
            holder: list[str] = []
            books = {"a": Book(), "b": Book()}

            def shift(name: str) -> Awaitable[None]:
                def is_ours() -> bool:
                    if not holder:
                        holder.append(name)
                    return holder == [name]

                collector = Collector(registry.if_changed, books[name].deliver, look_every_s=0.05)
                return collect_in_shifts(
                    collector, is_ours=is_ours, give_up=holder.clear, ask_every_s=0.05
                )

            first = asyncio.ensure_future(shift("a"))
            await until(lambda: books["a"].polls)
            second = asyncio.ensure_future(shift("b"))
            await until(lambda: len(books["a"].polls) >= 2)
            assert not books["b"].polls
            first.cancel()
            await until(lambda: books["b"].polls)
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    run(work())


def a_poll(host_id: int) -> HostPoll:
    return HostPoll(host_id, 0, {"current": 1}, {}, 1)
