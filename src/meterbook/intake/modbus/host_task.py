"""
One host's life with the collector: read on its grid, sooner and then rarer while it is silent.

    well     ├──────┼──────┼──────┤         each period, a little later than the full minute
    silent   ├─·─·──·───·────·─────·        again after 2 s, 4 s, 6 s ... up to 5 minutes

A blip therefore costs seconds, not a period, and a device that is gone costs almost nothing.
"""

import asyncio
import time
from enum import StrEnum

import structlog

from meterbook.domain.host_polls import HostPoll
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import poll
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.intake.modbus.metrics import POLL_SECONDS, POLLS, POLLS_SKIPPED
from meterbook.intake.modbus.outbox import Outbox
from meterbook.registry.poll_plans import PolledHost

BACK_OFF_S = 2.0
BACK_OFF_S_MAX = 300.0
SPREAD_SHARE = 0.25  # of the period: the starts of the hosts are spread over it
_GOLDEN = 0.618_033_988_749_895  # multiples of it are spread evenly over 0..1, however many
_LOOK_S_MAX = 30.0  # a machine that slept must not sleep on
_log = structlog.get_logger()


class HostState(StrEnum):
    """How a host was at its last poll."""

    NEW = "new"
    WELL = "well"
    PARTIAL = "partial"
    """Some of it could not be read."""
    SILENT = "silent"
    """None of it could."""


class HostTask:
    """Polls one host until it is told to stop."""

    def __init__(self, host: PolledHost, bus: Bus, outbox: Outbox) -> None:
        self.state = HostState.NEW
        self.failed_in_a_row = 0
        self._outbox = outbox
        self._changed = asyncio.Event()
        self._stopped = False
        self._reader = HostReader(host, bus)

    @property
    def host(self) -> PolledHost:
        """What it polls."""
        return self._reader.host

    def change(self, host: PolledHost, bus: Bus) -> None:
        """Poll another picture of the same host from now on."""
        self._reader = HostReader(host, bus)
        self.failed_in_a_row = 0
        self._changed.set()

    def stop(self) -> None:
        """End after the poll that runs."""
        self._stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Poll."""
        due_at = due_after(time.time(), self.host)
        while not self._stopped:
            if await self._changed_before(due_at):
                due_at = due_after(time.time(), self.host)
                continue
            began_at = time.time()
            try:
                await self._poll()
            except Exception as error:  # noqa: BLE001 a host whose reading breaks is read again
                self.failed_in_a_row += 1
                _log.error("a poll broke", host=self.host.host_id, error=repr(error)[:500])
            due_at = self._next_due(began_at)

    async def _changed_before(self, due_at: float) -> bool:
        while (left_s := due_at - time.time()) > 0:
            try:
                async with asyncio.timeout(min(left_s, _LOOK_S_MAX)):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()
            return True
        return False

    async def _poll(self) -> None:
        # A host that is new or was well gets a second chance at once; a silent one waits.
        reader = self._reader
        result = await poll(reader, patient=not self.failed_in_a_row)
        if self._stopped or not _is_of_same_device(reader, self._reader):
            return  # what it was pointed at before says nothing of what it is now
        state = _state(result)
        self.failed_in_a_row = self.failed_in_a_row + 1 if state is HostState.SILENT else 0
        POLLS.labels(state.value).inc()
        POLL_SECONDS.observe(result.latency_ms / 1000)
        if state is not self.state:
            self._tell(state, result)
            self.state = state
        self._outbox.put(result)

    def _next_due(self, began_at: float) -> float:
        now = time.time()
        if self.failed_in_a_row:
            return now + min(BACK_OFF_S * self.failed_in_a_row, BACK_OFF_S_MAX)
        due_at = due_after(now, self.host)
        skipped = round((due_at - due_after(began_at, self.host)) / self.host.period_s)
        if skipped > 0:
            POLLS_SKIPPED.inc(skipped)
        return due_at

    def _tell(self, state: HostState, result: HostPoll) -> None:
        kinds = sorted({failure.value for failure in result.failures.values()})
        if state is HostState.WELL:
            if self.state is not HostState.NEW:
                _log.info("host is read again", host=result.host_id)
        else:
            _log.warning("host is not read", host=result.host_id, state=state.value, failures=kinds)


def due_after(instant: float, host: PolledHost) -> float:
    """
    Return when the host's next turn is, strictly after the instant, UTC epoch seconds.

    The turns of all hosts with the same period lie within a quarter of it after the full period.
    """
    offset = host.host_id * _GOLDEN % 1 * host.period_s * SPREAD_SHARE
    turns = (instant - offset) // host.period_s + 1
    due_at: float = turns * host.period_s + offset
    return due_at if due_at > instant else due_at + host.period_s


def _is_of_same_device(before: HostReader, now: HostReader) -> bool:
    return before.bus is now.bus and before.host.slave_address == now.host.slave_address


def _state(result: HostPoll) -> HostState:
    if not result.failures:
        return HostState.WELL
    return HostState.PARTIAL if result.amounts else HostState.SILENT
