"""
A collector, a device or a network that is gone for a while costs no energy and doubles none.

A meter counts a steady power all the time. Whoever was gone, the intervals afterwards follow one
another without a hole, add up to what the meter counted, and those of the gap say estimated.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fast_time import INTERVAL_WH, MODEL, PERIOD_S, FastTime, counting_bus
from meterbook.collecting import Collecting
from meterbook.domain.counters import COUNTED_INTERVAL_S, CounterState, Stretch
from meterbook.domain.readings import Counting, Quality
from meterbook.intake.modbus import host_polls, host_task
from meterbook.queries.invariants import CHECKS
from meterbook.simulate.modbus.server import serve_bus
from meterbook.storage.database import Database
from meterbook.storage.tables import channel_states, channels, hosts
from polled import IMPORTED, home, open_rows
from servers import free_port, running_server
from services import need, program
from virtual_devices import DeviceThread

HERE = Path(__file__).parent
GONE_S = 2.5  # twenty minutes of the fast clock
WITHIN_S = 40
SOME_MS = 300_000


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> FastTime:
    """Give a fast clock that polls of this process and of those it starts are stamped by."""
    clock, environment = FastTime.begun_now()
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    folders = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setattr(host_polls, "time", clock)
    monkeypatch.setattr(host_task, "BACK_OFF_S", 0.3)
    return clock


class Meter:
    """What the book has of the meter."""

    def __init__(self, database: Database, *, port: int, ip: str = "127.0.0.1") -> None:
        self._database = database
        [self.host_id] = home(database, models=[MODEL], measurements=[IMPORTED]).hosts
        with database.writing() as connection:
            connection.execute(sa.update(hosts).values(ip=ip, port=port, slave_address=1))

    def intervals(self) -> dict[int, tuple[int, int]]:
        """Return amount and quality of each, by start."""
        return open_rows(self._database, self.host_id, IMPORTED, Counting.INTERVAL)

    def wait_for_interval_after(self, instant_ms: int) -> None:
        """Wait for an interval that begins after the instant."""
        ends_at = time.monotonic() + WITHIN_S
        while max(self.intervals(), default=0) * 1000 <= instant_ms:
            assert time.monotonic() < ends_at, "nothing was read"
            time.sleep(0.1)

    def trusted(self) -> Stretch:
        """Return all samples so far: none of them is in doubt, and no advance unknown."""
        wanted = (
            sa.select(channel_states.c.state)
            .join(channels, channels.c.id == channel_states.c.channel_id)
            .where(channels.c.measurement == IMPORTED)
        )
        with self._database.reading() as connection:
            state = msgspec.json.decode(connection.execute(wanted).scalar_one(), type=CounterState)
        assert state.trusted is not None
        assert state.suspect is None
        assert state.gap is None
        return state.trusted

    def assert_nothing_lost(self, *, gone_ms: int, back_ms: int) -> None:
        """Assert that the book is whole, and marked where nobody read the meter."""
        intervals, trusted = self.intervals(), self.trusted()
        starts = list(intervals)
        assert starts == list(range(starts[0], starts[-1] + 1, COUNTED_INTERVAL_S))
        total = sum(amount for amount, _ in intervals.values())
        assert trusted.total == trusted.dial - trusted.first_dial
        assert trusted.head
        assert trusted.mark
        assert total == trusted.mark[1] - trusted.head[1]
        in_gap = [
            quality
            for start, (_, quality) in intervals.items()
            if start * 1000 >= gone_ms and (start + COUNTED_INTERVAL_S) * 1000 <= back_ms
        ]
        assert len(in_gap) >= 2
        # A gap that was lost or doubled is more than any delay of an answer makes of it.
        assert abs(total - INTERVAL_WH * len(starts)) < INTERVAL_WH * len(in_gap)
        assert set(in_gap) == {int(Quality.ESTIMATED_INTERPOLATED)}
        assert starts[0] * 1000 < gone_ms < back_ms < starts[-1] * 1000
        with self._database.reading() as connection:
            assert [found for check in CHECKS.values() for found in check(connection)] == []


@asynccontextmanager
async def device_process(
    port: int, *, ip: str = "127.0.0.1", inside: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the meter in a process of its own, inside a network namespace if one is named."""
    where = ["ip", "netns", "exec", inside] if inside else []
    command = [*where, sys.executable, str(HERE / "counting_device.py"), ip, str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), WITHIN_S)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Link:
    """A network of two: this machine, and a namespace with the meter in it."""

    def __init__(self) -> None:
        number = os.getpid()
        self.namespace = f"meterbook-{number}"
        self._here, self._there = f"mb{number}h", f"mb{number}t"
        # RFC 2544 sets 198.18.0.0/15 aside for tests of networks.
        net = f"198.18.{number // 64 % 256}"
        self._our_ip, self.ip = (f"{net}.{number % 64 * 4 + end}" for end in (1, 2))

    def lay(self) -> bool:
        """Make it; False if we may not."""
        if not self._ip("netns", "add", self.namespace):
            return False
        name = self.namespace
        return all(
            self._ip(*words.split())
            for words in (
                f"link add {self._here} type veth peer name {self._there} netns {name}",
                f"address add {self._our_ip}/30 dev {self._here}",
                f"link set {self._here} up",
                f"-n {name} address add {self.ip}/30 dev {self._there}",
                f"-n {name} link set {self._there} up",
            )
        )

    def set(self, state: str) -> None:
        """Take the meter's end `down`, or `up` again."""
        assert self._ip("-n", self.namespace, "link", "set", self._there, state)

    def remove(self) -> None:
        """Leave nothing of it."""
        self._ip("link", "del", self._here)
        self._ip("netns", "del", self.namespace)

    @staticmethod
    def _ip(*words: str) -> bool:
        done = subprocess.run(["ip", *words], check=False, capture_output=True)
        return done.returncode == 0


@pytest.fixture
def link() -> Iterator[Link]:
    """Give a network that can be taken down."""
    need(program("ip"), "iproute2")
    laid = Link()
    try:
        need(laid.lay(), "the right to make a network namespace")
        yield laid
    finally:
        laid.remove()


def test_a_server_killed_while_it_polls_loses_and_doubles_nothing(
    fast: FastTime, database: Database, database_url: str, tmp_path: Path
) -> None:
    devices = DeviceThread()
    plugged = devices.do(serve_bus(counting_bus(fast)))
    devices.keep([plugged])
    meter = Meter(database, port=plugged.port)

    def serve_and_kill(until_ms: int) -> None:
        command = (str(HERE / "fast_server.py"),)
        with running_server(
            tmp_path,
            database_url=database_url,
            command=command,
        ) as server:
            meter.wait_for_interval_after(until_ms)
            server.kill()

    serve_and_kill(fast.now_ms() + SOME_MS)
    gone_ms = fast.now_ms()
    time.sleep(GONE_S)
    back_ms = fast.now_ms()
    serve_and_kill(back_ms)
    devices.stop()
    meter.assert_nothing_lost(gone_ms=gone_ms, back_ms=back_ms)


def test_a_device_killed_and_started_again_costs_no_energy(
    fast: FastTime, sqlite_database: Database
) -> None:
    async def work() -> None:
        port = free_port()
        meter = Meter(sqlite_database, port=port)
        async with Collecting(sqlite_database, period_s=PERIOD_S).running(is_on=True):
            async with device_process(port):
                await asyncio.to_thread(meter.wait_for_interval_after, fast.now_ms() + SOME_MS)
            gone_ms = fast.now_ms()
            await asyncio.sleep(GONE_S)
            back_ms = fast.now_ms()
            async with device_process(port):
                await asyncio.to_thread(meter.wait_for_interval_after, back_ms)
        meter.assert_nothing_lost(gone_ms=gone_ms, back_ms=back_ms)

    asyncio.run(work())


def test_a_network_that_is_down_for_a_while_costs_no_energy(
    fast: FastTime, sqlite_database: Database, link: Link
) -> None:
    async def work() -> None:
        meter = Meter(sqlite_database, port=502, ip=link.ip)
        async with (
            device_process(502, ip=link.ip, inside=link.namespace),
            Collecting(sqlite_database, period_s=PERIOD_S).running(is_on=True),
        ):
            await asyncio.to_thread(meter.wait_for_interval_after, fast.now_ms() + SOME_MS)
            link.set("down")
            gone_ms = fast.now_ms()
            await asyncio.sleep(GONE_S)
            back_ms = fast.now_ms()
            link.set("up")
            await asyncio.to_thread(meter.wait_for_interval_after, back_ms)
        meter.assert_nothing_lost(gone_ms=gone_ms, back_ms=back_ms)

    asyncio.run(work())
