"""Records polls and kills itself: just before a commit, or just after it."""

import os
import signal
import sys
from typing import Any

from meterbook.intake import host_recorder
from meterbook.intake.host_recorder import HostRecorder
from meterbook.registry import host_health
from meterbook.storage.database import Database
from polled import POLLS_A_BATCH, eventful_polls


def record_until_killed(url: str, host_id: int, *, batch: int, moment: str) -> None:
    """Record in small batches and die at one of them."""
    count = 0

    def count_and_die(*args: Any, **options: Any) -> None:
        host_health.count_failures(*args, **options)  # the last statement of the transaction
        if moment == "before" and count == batch:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(host_recorder, "count_failures", count_and_die)
    recorder = HostRecorder(Database(url))
    everything = eventful_polls(host_id)
    for begin in range(0, len(everything), POLLS_A_BATCH):
        count += 1
        recorder.record(everything[begin : begin + POLLS_A_BATCH])
        if moment == "after" and count == batch:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    record_until_killed(sys.argv[1], int(sys.argv[2]), batch=int(sys.argv[3]), moment=sys.argv[4])
