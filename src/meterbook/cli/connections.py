"""
How many connections a server holds, and how long it waits on silent ones.

Granian lets nobody in while it holds as many connections as its backlog, 1,024 unless told, and it
waits without end for the first byte of one that might turn out to be HTTP/2. Together that is a
server which a thousand idle sockets put to silence. So it speaks HTTP/1.1 only, where every
connection has a limit to its silence; proxies in front speak HTTP/2 with browsers.
"""

import sys
from typing import Any

from granian.constants import HTTPModes
from granian.http import HTTP1Settings

from meterbook.intake.modbus.open_files import allow_many_open_files

SILENT_S_MAX = 75  # longer than nginx keeps a connection to us for later, 60 s: it never meets a
# connection that is being closed
CONNECTIONS_MAX = 16_384  # of one worker; an idle one takes 2 KiB
QUEUED_MAX = 4_096  # connections that wait to be let in; the kernel may allow fewer
OTHER_FILES = 512  # databases, logs, hosts being polled


def connection_limits() -> dict[str, Any]:
    """Return what Granian is told of connections; raises this process's limit of open files."""
    allow_many_open_files()
    return {
        "http": HTTPModes.http1,
        "http1_settings": HTTP1Settings(header_read_timeout=SILENT_S_MAX * 1000),
        "backlog": QUEUED_MAX,
        "backpressure": max(OTHER_FILES, min(CONNECTIONS_MAX, _open_files_max() - OTHER_FILES)),
    }


def _open_files_max() -> int:
    if sys.platform == "win32":
        return CONNECTIONS_MAX
    import resource  # noqa: PLC0415 there is none on Windows

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
