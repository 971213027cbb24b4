"""
The control of the kill test: a server that acknowledges before it commits, without fsync.

It is Meterbook in all but that; the kill test must find that it loses what it acknowledged.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from meterbook import app
from meterbook.daybook import Recorded
from meterbook.domain.readings import packet_starts_at
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.recorder import Answer, Arrival, Stored
from meterbook.storage import database
from torture.bare_server import serve_until_killed

COMMIT_S = 0.02  # as on a slow disk: without syncs a kill would seldom meet a commit


class _EarlyAcknowledgement(GroupCommit[Arrival, Answer]):
    def __init__(
        self, commit: Callable[[list[Arrival]], Sequence[Answer]], *, queue_max: int
    ) -> None:
        def slowly(items: list[Arrival]) -> Sequence[Answer]:
            time.sleep(COMMIT_S)
            return commit(items)

        super().__init__(slowly, queue_max=queue_max)

    def hand(self, item: Arrival, then: Callable[[Answer | Exception], None]) -> None:
        super().hand(item, lambda _late: None)
        then(Stored(packet_starts_at(item.packet.stamp), Recorded.NEW))


def create() -> app.ASGIApplication:
    """Return the application without its promise."""
    setattr(app, "GroupCommit", _EarlyAcknowledgement)
    setattr(app, "Database", partial(database.Database, durable=False))
    return app.create_app()


def serve() -> None:
    """Serve until killed."""
    serve_until_killed("torture.early_acknowledgement:create")
