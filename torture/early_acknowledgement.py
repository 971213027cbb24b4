"""
The control of the kill test: a server that acknowledges before it commits, without fsync.

It is Meterbook in all but that; the kill test must find that it loses what it acknowledged.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from meterbook import app
from meterbook.daybook import Recorded
from meterbook.domain.readings import packet_starts_at
from meterbook.gathering import Batch
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.recorder import Answer, Arrival, Stored
from meterbook.storage import database
from torture.bare_server import serve_until_killed

COMMIT_S = 0.02  # as on a slow disk: without syncs a kill would seldom meet a commit


class _EarlyAcknowledgement(GroupCommit[Arrival, Answer]):
    async def add(self, item: Arrival) -> Answer:
        self._open_batch().items.append(item)
        if self._in_flight is None:
            self._in_flight = asyncio.get_running_loop().create_task(self._run())
        return Stored(packet_starts_at(item.packet.stamp), Recorded.NEW)

    def hand(self, item: Arrival, then: Callable[[Answer | Exception], None]) -> None:
        self._open_batch().items.append(item)
        if self._in_flight is None:
            self._in_flight = asyncio.get_running_loop().create_task(self._run())
        then(Stored(packet_starts_at(item.packet.stamp), Recorded.NEW))

    async def _answer_batch(self, batch: Batch[Arrival, Answer]) -> None:
        await asyncio.sleep(COMMIT_S)
        await super()._answer_batch(batch)


def create() -> app.ASGIApplication:
    """Return the application without its promise."""
    setattr(app, "GroupCommit", _EarlyAcknowledgement)
    setattr(app, "Database", partial(database.Database, durable=False))
    return app.create_app()


def serve() -> None:
    """Serve until killed."""
    serve_until_killed("torture.early_acknowledgement:create")
