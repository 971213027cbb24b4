"""
The real server by a clock that jumps: its `time` is ahead or behind by what a file says.

Days are closed every second instead of every minute, so that every jump is met by a close.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path

CLOCK = "TORTURE_CLOCK"
CLOSE_EVERY_S = 1
_AHEAD_S = struct.Struct("<d")


def set_clock(file: Path, *, ahead_s: float) -> None:
    """Let the servers that look at the file be so much ahead, in one step."""
    with file.open("r+b" if file.exists() else "w+b") as out:
        out.write(_AHEAD_S.pack(ahead_s))


def serve() -> None:
    """Serve until stopped, by the clock of the file."""
    from meterbook.cli.serve import serve as command  # noqa: PLC0415 after the clock was replaced
    from meterbook.jobs import scheduler  # noqa: PLC0415 the same

    with Path(os.environ[CLOCK]).open("rb") as file:
        shared = mmap.mmap(file.fileno(), _AHEAD_S.size, access=mmap.ACCESS_READ)
    true_s = time.time

    def jumping_s() -> float:
        return true_s() + float(_AHEAD_S.unpack_from(shared)[0])

    setattr(time, "time", jumping_s)
    setattr(time, "time_ns", lambda: int(jumping_s() * 1e9))
    setattr(scheduler, "CLOSE_EVERY_S", CLOSE_EVERY_S)
    command.main(sys.argv[1:], standalone_mode=False)
