"""Meterbook with something changed in it, in one process: what a kill, or a control, needs."""

import sys

from granian.constants import Interfaces, Loops
from granian.server import Server

from meterbook.settings import load_settings
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate


def serve_until_killed(target: str) -> None:
    """
    Serve the application on the port that the command line names.

    :param target: `module:function` that makes the application.
    """
    opened = Database(load_settings().database_url)
    migrate(opened)
    opened.close()
    Server(
        target=target,
        factory=True,
        port=int(sys.argv[sys.argv.index("--port") + 1]),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
    ).serve()
