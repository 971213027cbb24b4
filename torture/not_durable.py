"""
The control of the power cuts: a server that is Meterbook but for the syncs at its commits.

It acknowledges after the commit, so only a cut of the power, and no kill, shows what is missing.
"""

import sys
from functools import partial

from granian.constants import Interfaces, Loops
from granian.server import Server

from meterbook import app
from meterbook.settings import load_settings
from meterbook.storage import database
from meterbook.storage.migrate import migrate


def create() -> app.ASGIApplication:
    """Return the application that does not wait for the disk."""
    setattr(app, "Database", partial(database.Database, durable=False))
    return app.create_app()


def serve() -> None:
    """Serve until stopped."""
    opened = database.Database(load_settings().database_url)
    migrate(opened)
    opened.close()
    Server(
        target="torture.not_durable:create",
        factory=True,
        port=int(sys.argv[sys.argv.index("--port") + 1]),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    serve()
