"""
Meterbook as it is, but its polls are stamped by a fast clock.

Its periods and shifts are short, too.
"""

import sys

import sqlalchemy as sa

from fast_time import PERIOD_S, FastTime
from meterbook import app, collecting
from meterbook.intake.modbus import host_polls
from meterbook.registry.poll_plans import PollPlan, poll_plan
from meterbook.serving.server import serve_application

SHIFT_S = 4  # asked for every three seconds


def _often(connection: sa.Connection, *, period_s: int) -> PollPlan:
    return poll_plan(connection, period_s=PERIOD_S)


def create() -> app.ASGIApplication:
    """Return the application."""
    setattr(host_polls, "time", FastTime.of_this_test())
    setattr(collecting, "SHIFT_S", SHIFT_S)
    setattr(collecting, "poll_plan", _often)
    return app.create_app()


if __name__ == "__main__":
    serve_application("fast_server:create", port=int(sys.argv[sys.argv.index("--port") + 1]))
