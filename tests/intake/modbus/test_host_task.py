"""
When a host is polled, to the second and in no time: the loop jumps to whatever comes next.

No machine is too slow for it, and a poll that is skipped, doubled or late shows.
"""

import asyncio
import selectors
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.intake.modbus import host_task
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.intake.modbus.host_task import HostTask, due_after
from meterbook.intake.modbus.outbox import Outbox
from virtual_devices import a_host, changed

BEGUN_AT = 1_760_000_040.0
HOST = changed(a_host(1, "sdm120", names=["current"]), period_s=60)
Latency = Callable[[float], float]
"""Instant to how many seconds the device takes then; less than 0: nothing comes for so long."""


class _JumpingSelector(selectors.DefaultSelector):
    """Where nothing is ready, the time it would have waited for has passed at once."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.jumped_s += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped_s


class Polled:
    """Hosts polled for a while, and when each poll of them began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **latencies: Latency) -> None:
        self.began: dict[int, list[float]] = {}
        self.hosts = {
            number: changed(HOST, host_id=number) for number in range(1, len(latencies) + 1)
        }
        self._latencies = dict(enumerate(latencies.values(), 1))
        monkeypatch.setattr(host_task, "time", SimpleNamespace(time=self._now))
        monkeypatch.setattr(host_task, "poll", self._poll)

    def run(self, *, seconds: float) -> None:
        """Poll them all so long."""
        loop = _JumpingLoop()
        try:
            loop.run_until_complete(self._run(seconds))
        finally:
            loop.close()

    def dues(self, host_id: int, *, seconds: float) -> list[float]:
        """Return when a host's turns are."""
        dues = [due_after(BEGUN_AT, self.hosts[host_id])]
        while (due := due_after(dues[-1], self.hosts[host_id])) < BEGUN_AT + seconds:
            dues.append(due)
        return dues

    async def _run(self, seconds: float) -> None:
        outbox = Outbox(_nowhere)
        tasks = [
            asyncio.create_task(HostTask(host, Bus(), outbox).run()) for host in self.hosts.values()
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, reader: HostReader, *, patient: bool) -> HostPoll:
        assert patient in (True, False)
        host_id, now = reader.host.host_id, self._now()
        self.began.setdefault(host_id, []).append(now)
        takes_s = self._latencies[host_id](now)
        await asyncio.sleep(abs(takes_s))
        at_ms = round(self._now() * 1000)
        if takes_s < 0:
            return HostPoll(host_id, at_ms, {}, {"current": PollFailure.TIMEOUT}, 0)
        return HostPoll(host_id, at_ms, {"current": 1}, {}, 0)

    @staticmethod
    def _now() -> float:
        return BEGUN_AT + asyncio.get_running_loop().time()


async def _nowhere(_: HostPoll) -> None:
    """Take a poll."""


def close(instants: list[float], others: list[float]) -> bool:
    return len(instants) == len(others) and all(
        abs(one - other) < 0.001 for one, other in zip(instants, others, strict=True)
    )


def test_every_host_is_polled_at_each_of_its_turns_whatever_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = Polled(
        monkeypatch, well=lambda _: 0.2, slow=lambda _: 50.0, dead=lambda _: -3.0, fast=lambda _: 0
    )
    polled.run(seconds=3_600)
    for host_id in (1, 2, 4):
        assert close(polled.began[host_id], polled.dues(host_id, seconds=3_600))


def test_a_host_that_takes_longer_than_its_period_skips_turns_and_stays_on_the_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = Polled(monkeypatch, slow=lambda _: 61.0)
    polled.run(seconds=3_600)
    assert close(polled.began[1], polled.dues(1, seconds=3_600)[::2])


def test_the_pause_of_a_silent_host_grows_by_two_seconds_up_to_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = Polled(monkeypatch, dead=lambda _: -1.0)
    polled.run(seconds=60_000)
    pauses = [
        later - earlier - 1
        for earlier, later in zip(polled.began[1], polled.began[1][1:], strict=False)
    ]
    assert close(pauses, [min(2.0 * failed, 300.0) for failed in range(1, len(pauses) + 1)])
    assert pauses[-1] > 299


def test_a_blip_costs_seconds_and_then_the_grid_counts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_due = due_after(BEGUN_AT, HOST)
    blip = range(600, 604)
    polled = Polled(
        monkeypatch, blip=lambda now: -0.5 if int(now - first_due + 0.5) in blip else 0.1
    )
    polled.run(seconds=3_600)
    dues = polled.dues(1, seconds=3_600)
    again = [dues[10] + 0.5 + 2, dues[10] + 0.5 + 2 + 0.5 + 4]
    assert close(polled.began[1], sorted([*dues, *again]))
