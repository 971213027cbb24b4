"""The real server with little patience: for tests that cannot wait 75 s until it lets go."""

import sys

from meterbook.cli.serve import serve as command
from meterbook.intake import bodies
from meterbook.serving import connections

SILENT_S_MAX = 2
PATIENCE_S = 1.5


def serve() -> None:
    """Serve until stopped."""
    setattr(connections, "SILENT_S_MAX", SILENT_S_MAX)
    setattr(bodies, "PATIENCE_S", PATIENCE_S)
    command.main(sys.argv[1:], standalone_mode=False)
