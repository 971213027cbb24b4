"""
The control of the power cuts: a server that is Meterbook but for the syncs at its commits.

It acknowledges after the commit, so only a cut of the power, and no kill, shows what is missing.
"""

from functools import partial

from meterbook import app
from meterbook.storage import database
from torture.bare_server import serve_until_killed


def create() -> app.ASGIApplication:
    """Return the application that does not wait for the disk."""
    setattr(app, "Database", partial(database.Database, durable=False))
    return app.create_app()


def serve() -> None:
    """Serve until stopped."""
    serve_until_killed("torture.not_durable:create")


if __name__ == "__main__":
    serve()
