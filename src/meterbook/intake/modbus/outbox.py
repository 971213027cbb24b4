"""
Polls on their way to the books: kept until they are stored, in the order they came.

    host ──put──► waiting ──a round at a time──► deliver (group commit) ──► disk
                     ▲──────── what failed, first in line again ◄──┘

While the database is away polls wait here, the oldest giving way when there are too many. A poll
that the books refuse for its own sake is tried alone, so that it holds no other up, and given up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from meterbook.domain.host_polls import HostPoll
from meterbook.intake.group_commit import QueueFullError
from meterbook.intake.modbus.metrics import POLLS_DROPPED, POLLS_WAITING
from meterbook.intake.recorder import CannotStoreError
from meterbook.storage.database import is_unreachable

POLLS_MAX = 20_000  # some 40 MB; four minutes of 5,000 hosts, two weeks of one
ROUND_POLLS_MAX = 500
AGAIN_AFTER_S = 0.5
AGAIN_AFTER_S_MAX = 10.0
_TRIES_ALONE = 3

Deliver = Callable[[HostPoll], Awaitable[None]]
_log = structlog.get_logger()


class Outbox:
    """Delivers polls; `run` does the work, `put` never waits."""

    def __init__(self, deliver: Deliver, *, polls_max: int = POLLS_MAX) -> None:
        self._deliver = deliver
        self._polls_max = polls_max
        self._waiting: deque[HostPoll] = deque()
        self._arrived = asyncio.Event()
        self._is_stuck = False
        self._flying = 0
        self.dropped = 0

    def put(self, poll: HostPoll) -> None:
        """Take a poll."""
        self._waiting.append(poll)
        self._make_room()
        self._arrived.set()

    async def run(self) -> None:
        """Deliver what comes, until cancelled."""
        again_after_s = AGAIN_AFTER_S
        while True:
            await self._arrived.wait()
            if await self._deliver_round():
                again_after_s = AGAIN_AFTER_S
            else:
                await asyncio.sleep(again_after_s)
                again_after_s = min(again_after_s * 2, AGAIN_AFTER_S_MAX)
            POLLS_WAITING.set(len(self._waiting))
            if not self._waiting:
                self._arrived.clear()

    async def drain(self, *, within_s: float) -> None:
        """Deliver what is left, once `run` has ended; what cannot be in time is counted."""
        try:
            async with asyncio.timeout(within_s):
                while self._waiting and await self._deliver_round():
                    pass
        except TimeoutError:
            pass
        self._drop(len(self._waiting) + self._flying)
        self._waiting.clear()

    async def _deliver_round(self) -> bool:
        """Deliver some; False if the books are out of reach."""
        polls = [self._waiting.popleft() for _ in range(min(len(self._waiting), ROUND_POLLS_MAX))]
        self._flying = len(polls)
        done = False
        try:
            outcomes = await asyncio.gather(
                *(self._deliver(poll) for poll in polls), return_exceptions=True
            )
            done = True
        finally:
            if not done:  # cancelled: recording twice equals recording once
                self._waiting.extendleft(reversed(polls))
            self._flying = 0
        failed = [
            (poll, outcome)
            for poll, outcome in zip(polls, outcomes, strict=True)
            if isinstance(outcome, BaseException)
        ]
        refused = [poll for poll, error in failed if not _is_passing(error)]
        for poll in refused:
            await self._deliver_alone(poll)
        away = [poll for poll, error in failed if _is_passing(error)]
        self._waiting.extendleft(reversed(away))
        self._make_room()
        self._tell(away=bool(away))
        return not away

    async def _deliver_alone(self, poll: HostPoll) -> None:
        reason = ""
        for _ in range(_TRIES_ALONE):
            try:
                await self._deliver(poll)
            except Exception as error:  # noqa: BLE001 whatever it is, the others go on
                if _is_passing(error):
                    self._waiting.appendleft(poll)
                    return
                reason = type(error).__name__
            else:
                return
        _log.error("poll given up", host=poll.host_id, error=reason)
        self._drop(1)

    def _make_room(self) -> None:
        while len(self._waiting) > self._polls_max:
            self._waiting.popleft()
            self._drop(1)

    def _drop(self, count: int) -> None:
        self.dropped += count
        if count:
            POLLS_DROPPED.inc(count)

    def _tell(self, *, away: bool) -> None:
        if away != self._is_stuck:
            self._is_stuck = away
            if away:
                _log.warning("polls wait: the database cannot be reached")
            else:
                _log.info("polls are stored again", dropped=self.dropped)


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, QueueFullError | CannotStoreError) or is_unreachable(error)
