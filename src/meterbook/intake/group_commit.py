"""Group commit: many waiting requests, one commit, one fsync; measured."""

from collections.abc import Callable, Sequence

from prometheus_client import Gauge, Histogram

from meterbook.gathering import Gathering, Item, QueueFullError, Result

__all__ = ["BATCH_READINGS_MAX", "GroupCommit", "QueueFullError"]

BATCH_READINGS_MAX = 2_000  # one commit stays under 50 ms on the slowest disk we measured
COMMIT_SECONDS = Histogram(
    "meterbook_commit_seconds",
    "Time of one group commit, fsync included.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
COMMIT_READINGS = Histogram(
    "meterbook_commit_readings",
    "Readings in one group commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)
QUEUE_READINGS = Gauge("meterbook_queue_readings", "Readings waiting for the next commit.")


class GroupCommit(Gathering[Item, Result]):
    """Gathers items of one event loop and commits them together in a thread of its own."""

    def __init__(
        self, commit: Callable[[list[Item]], Sequence[Result | Exception]], *, queue_max: int
    ) -> None:
        """
        Prepare; the first `add` starts it.

        :param commit: stores the items durably and returns one result for each, or an error in
            its place, or raises for all.
        :param queue_max: how many items may wait for their commit, the bound on memory.
        """
        self._commit = commit
        super().__init__(
            self._measured,
            queue_max=queue_max,
            batch_max=BATCH_READINGS_MAX,
            thread_name="group-commit",
        )

    def _measured(self, items: list[Item]) -> Sequence[Result | Exception]:
        QUEUE_READINGS.set(self.waiting)
        COMMIT_READINGS.observe(len(items))
        with COMMIT_SECONDS.time():
            return self._commit(items)
