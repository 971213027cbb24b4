"""Meterbook with something changed in it, in one process: what a kill, or a control, needs."""

import sys

from meterbook.serving.server import serve_application
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
    serve_application(target, port=int(sys.argv[sys.argv.index("--port") + 1]))
