"""
The collector: polls every registered host, each in a task of its own.

It looks at the registry every few seconds; what changed through the API is polled from then on,
nothing else is disturbed. A host waits for nobody but the others on its own bus.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from meterbook.domain.host_probes import HostProbe
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import probe
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.intake.modbus.host_task import HostState, HostTask
from meterbook.intake.modbus.metrics import HOSTS
from meterbook.intake.modbus.open_files import allow_many_open_files
from meterbook.intake.modbus.outbox import Deliver, Outbox
from meterbook.intake.modbus.sunspec import discover
from meterbook.registry.poll_plans import PolledHost, PollPlan
from meterbook.registry.sunspec_layouts import SunSpecDevice

LOOK_EVERY_S = 2.0  # below half the shortest period, 5 s
DRAIN_S = 5.0
_log = structlog.get_logger()

PlanIfChanged = Callable[[int], PollPlan | None]
"""Given the version that is known, the plan if there is a newer one. Runs in a thread."""


class Collector:
    """Polls while `run` runs; probes at any time."""

    def __init__(
        self,
        plan_if_changed: PlanIfChanged,
        deliver: Deliver,
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._plan_if_changed = plan_if_changed
        self._deliver = deliver
        self._look_every_s = look_every_s
        self._version = -1
        self._buses: dict[tuple[str, int], Bus] = {}
        self._hosts: dict[int, tuple[HostTask, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll until cancelled; then store what has been read."""
        allow_many_open_files()
        outbox = Outbox(self._deliver)
        delivering = asyncio.create_task(outbox.run())
        try:
            while True:
                await self._look(outbox)
                self._count_hosts()
                await asyncio.sleep(self._look_every_s)
        finally:
            await self._stop()
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
            await outbox.drain(within_s=DRAIN_S)

    async def probe(self, host: PolledHost) -> HostProbe:
        """
        Read all of a host once, now.

        Goes through the host's bus, in turn with the polls, if this process polls it; else over
        a connection of its own.
        """
        async with self._bus_for(host) as bus:
            return await probe(HostReader(host, bus))

    async def discover(self, host: PolledHost) -> SunSpecDevice:
        """
        Ask a SunSpec host what it is, over the same bus as `probe`.

        :raises NotDiscoveredError: if it could not be read, or speaks no SunSpec.
        """
        async with self._bus_for(host) as bus:
            return await discover(host, bus)

    @asynccontextmanager
    async def _bus_for(self, host: PolledHost) -> AsyncIterator[Bus]:
        known = self._buses.get(host.bus.key)
        bus = known or Bus()
        try:
            yield bus
        finally:
            if bus is not known:
                bus.close()

    async def _look(self, outbox: Outbox) -> None:
        try:
            plan = await asyncio.to_thread(self._plan_if_changed, self._version)
        except Exception as error:  # noqa: BLE001 polling goes on by the plan that is known
            _log.warning("the poll plan cannot be read", error=type(error).__name__)
            return
        if plan is not None:
            self._follow(plan, outbox)

    def _follow(self, plan: PollPlan, outbox: Outbox) -> None:
        self._version = plan.version
        for host_id in self._hosts.keys() - plan.hosts.keys():
            host_task, task = self._hosts.pop(host_id)
            host_task.stop()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for host_id, host in plan.hosts.items():
            if host_id not in self._hosts:
                host_task = HostTask(host, self._bus(host), outbox)
                task = asyncio.create_task(host_task.run(), name=f"host {host_id}")
                task.add_done_callback(_tell_if_it_broke)
                self._hosts[host_id] = host_task, task
            elif (known := self._hosts[host_id][0]).host != host:
                known.change(host, self._bus(host))
        used = {host.bus.key for host in plan.hosts.values()}
        for key in self._buses.keys() - used:
            self._buses.pop(key).end()

    def _bus(self, host: PolledHost) -> Bus:
        return self._buses.setdefault(host.bus.key, Bus())

    async def _stop(self) -> None:
        tasks = [task for _, task in self._hosts.values()] + list(self._ending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bus in self._buses.values():
            bus.end()
        self._hosts.clear()
        self._buses.clear()
        self._version = -1
        self._count_hosts()

    def _count_hosts(self) -> None:
        states = Counter(host_task.state for host_task, _ in self._hosts.values())
        for state in HostState:
            HOSTS.labels(state.value).set(states[state])


def _tell_if_it_broke(task: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        if error := task.exception():
            _log.error("a host's task broke", task=task.get_name(), error=repr(error)[:500])
