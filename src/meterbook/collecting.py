"""
The collector at work in this process: its plan from the registry, its polls into the books.

Of many processes on one database one polls: the one that holds the job lease `collect`.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from meterbook.domain.host_polls import HostPoll
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.host_recorder import HostRecorder, PollOutcome
from meterbook.intake.modbus.collector import Collector
from meterbook.intake.modbus.outbox import POLLS_MAX
from meterbook.intake.modbus.shifts import SHIFT_S, collect_in_shifts
from meterbook.jobs.leases import end_lease, take_lease
from meterbook.registry.poll_plans import PollPlan, plan_version, poll_plan
from meterbook.storage.database import Database

JOB = "collect"


class Collecting:
    """Polls hosts in shifts, and probes them at any time."""

    def __init__(self, database: Database, *, period_s: int) -> None:
        """
        Prepare; nothing is polled yet.

        :param period_s: how often hosts are read that have no period of their own.
        """
        self._database = database
        self._period_s = period_s
        self._holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._commits: GroupCommit[HostPoll, PollOutcome] = GroupCommit(
            HostRecorder(database).record, queue_max=POLLS_MAX
        )
        self.collector = Collector(self._plan_if_changed, self._deliver)
        self._polling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self, *, is_on: bool) -> AsyncIterator[None]:
        """Poll, if this process is one that may, until the end; then store what was read."""
        if not is_on:
            yield
            return
        self._polling = asyncio.create_task(
            collect_in_shifts(self.collector, is_ours=self._is_ours, give_up=self._give_up)
        )
        try:
            yield
        finally:
            self.hand_over()
            await asyncio.gather(self._polling, return_exceptions=True)
            await self._commits.close()

    def hand_over(self) -> None:
        """Stop polling, for good, and let another process take the lease at once."""
        if self._polling is not None and not self._polling.cancelling():
            self._polling.cancel()

    def _plan_if_changed(self, version: int) -> PollPlan | None:
        with self._database.reading() as connection:
            if plan_version(connection) == version:
                return None
            return poll_plan(connection, period_s=self._period_s)

    async def _deliver(self, poll: HostPoll) -> None:
        """Return when the poll is on disk."""
        await self._commits.add(poll)

    def _is_ours(self) -> bool:
        with self._database.writing() as connection:
            return take_lease(
                connection, job=JOB, holder=self._holder, now=int(time.time()), valid_s=SHIFT_S
            )

    def _give_up(self) -> None:
        with self._database.writing() as connection:
            end_lease(connection, job=JOB, holder=self._holder)
