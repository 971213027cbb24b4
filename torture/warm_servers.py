"""Servers for torture that start quickly, the real one and those with a fault in them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers import Server, free_port
from warm_servers import SERVE, start_warm

__all__ = ["SERVE", "warm_server"]


@contextmanager
def warm_server(
    folder: Path,
    *,
    database_url: str,
    program: str = SERVE,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """
    Start a server, wait until it is ready, and leave nothing of it behind.

    :param program: the module that serves: the real one, or one with a fault in it.
    """
    port = port or free_port()
    log = folder / "server.log"
    variables = {
        **os.environ,
        **(environment or {}),
        "METERBOOK_DATA_DIR": str(folder),
        "METERBOOK_DATABASE": database_url,
    }
    process = start_warm(
        variables=variables, log=log, arguments=["--port", str(port)], program=program
    )
    server = Server(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()
