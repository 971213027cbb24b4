"""A device that is killed, or that the network hides for a while, is read again when it is back."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.intake.modbus.collector import Collector
from meterbook.registry.poll_plans import PollPlan
from servers import free_port
from virtual_devices import QUICK, a_host, run

DIAL = "active_energy_consumed"


async def device_process(port: int) -> asyncio.subprocess.Process:
    """Start a virtual device in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "meterbook",
        "simulate",
        "modbus",
        "--model",
        "sdm120",
        "--port",
        str(port),
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 30)
    return process


class Watched:
    """What a collector has read, and what it waits for."""

    def __init__(self) -> None:
        self.polls: list[HostPoll] = []
        self._news = asyncio.Event()

    async def deliver(self, poll: HostPoll) -> None:
        """Keep a poll."""
        self.polls.append(poll)
        self._news.set()

    async def until(self, failures: set[PollFailure], *, within_s: float = 60) -> None:
        """Wait for a poll with these failures, of those to come."""
        self.polls.clear()
        async with asyncio.timeout(within_s):
            while not any(set(poll.failures.values()) == failures for poll in self.polls):
                self._news.clear()
                await self._news.wait()


def test_a_device_that_is_killed_or_hidden_is_read_again_when_it_is_back() -> None:
    async def work() -> None:
        port = free_port()
        plan = PollPlan(1, {1: a_host(port, "sdm120", period_s=1, limits=QUICK)})
        watched = Watched()
        collector = Collector(
            lambda version: None if version == 1 else plan, watched.deliver, look_every_s=1
        )
        device = await device_process(port)
        collecting = asyncio.create_task(collector.run())
        try:
            await watched.until(set())

            # Not a word more, and the connection stays: as when a cable is pulled.
            os.kill(device.pid, signal.SIGSTOP)
            await watched.until({PollFailure.TIMEOUT})
            os.kill(device.pid, signal.SIGCONT)
            await watched.until(set())

            device.kill()
            await device.wait()
            await watched.until({PollFailure.UNREACHABLE})
            device = await device_process(port)
            await watched.until(set())
            assert all(DIAL in poll.amounts or poll.failures for poll in watched.polls)
        finally:
            collecting.cancel()
            with suppress(asyncio.CancelledError):
                await collecting
            device.kill()
            await device.wait()

    run(work())
