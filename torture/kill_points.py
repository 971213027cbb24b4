"""
A server that kills itself at a named point of its work, the nth time it gets there.

The points are put around functions from outside, so that nothing of it is in the real server.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from meterbook import app, daybook
from meterbook.intake.recorder import PacketRecorder
from meterbook.jobs import scheduler
from meterbook.registry import meters
from torture.bare_server import serve_until_killed

POINT, HIT = "TORTURE_POINT", "TORTURE_HIT"
POINTS: dict[str, tuple[Any, str, str]] = {
    "a batch gathered, nothing stored": (PacketRecorder, "record", "before"),
    "new meters added, not committed": (meters, "add_meters", "after"),
    "one by one, not committed": (daybook, "record_readings", "after"),
    "one by one, committed": (PacketRecorder, "_record_with_care", "after"),
    "one statement, about to run": (daybook, "record_new_packets", "before"),
    "one statement, committed": (daybook, "record_new_packets", "after"),
    "committed, no answer sent": (PacketRecorder, "record", "after"),
    "log about to be copied": (scheduler, "copy_write_ahead_log", "before"),
    "log copied": (scheduler, "copy_write_ahead_log", "after"),
}
"""Name to owner, function and side of it."""


def die() -> None:
    """Go as if the plug had been pulled, the whole server."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def put_point(name: str, *, hit: int) -> None:
    """Make this process die the nth time it gets to the point."""
    owner, function, side = POINTS[name]
    work: Callable[..., Any] = getattr(owner, function)
    hits = 0

    def work_and_die(*args: Any, **options: Any) -> Any:
        nonlocal hits
        hits += 1
        if side == "before" and hits == hit:
            die()
        done = work(*args, **options)
        if side == "after" and hits == hit:
            die()
        return done

    setattr(owner, function, work_and_die)


def create() -> app.ASGIApplication:
    """Return the application with the point in it."""
    put_point(os.environ[POINT], hit=int(os.environ[HIT]))
    return app.create_app()


def serve() -> None:
    """Serve as `meterbook serve` does, until the point."""
    serve_until_killed("torture.kill_points:create")
