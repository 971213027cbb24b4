"""
Closes a day and kills itself at a chunk boundary: just before a commit, or just after it.

Writes after each commit how many channels are done.
"""

import os
import signal
import sys
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from meterbook import day_close, ledger
from meterbook.storage.database import Database


def die() -> None:
    """Go as if the plug had been pulled."""
    os.kill(os.getpid(), signal.SIGKILL)


def close_until_killed(
    url: str, day: date, *, chunk: int, moment: str, channels: int, closers: int
) -> None:
    """Close in chunks of that many channels and die at one of them."""
    chunks = 0
    write_days = ledger.write_days

    def write_and_die(*args: Any, **options: Any) -> None:
        nonlocal chunks
        write_days(*args, **options)
        chunks += 1
        if moment == "before" and chunks == chunk:
            die()

    def after_chunk(done: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        if moment == "after" and done >= chunk * channels:
            die()

    setattr(ledger, "write_days", write_and_die)
    day_close.close_day(
        Database(url),
        day=day,
        zone=ZoneInfo("UTC"),
        now=1_760_000_000,
        channels_per_chunk=channels,
        closers=closers,
        on_chunk=after_chunk,
    )


if __name__ == "__main__":
    close_until_killed(
        sys.argv[1],
        date.fromisoformat(sys.argv[2]),
        chunk=int(sys.argv[3]),
        moment=sys.argv[4],
        channels=int(sys.argv[5]),
        closers=int(sys.argv[6]),
    )
