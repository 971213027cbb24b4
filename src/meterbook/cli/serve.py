"""`meterbook serve`: the server."""

import errno
import os
import socket
from pathlib import Path

import click
import msgspec
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from meterbook.cli.connections import connection_limits
from meterbook.cli.opened import opened_database, settings_with
from meterbook.cli.right_settings import require_right
from meterbook.registry.personal_data import personal_data
from meterbook.settings import ENVIRONMENT_PREFIX, SENTENCES, Settings

DRAIN_S = 10  # how long requests in flight may take after SIGTERM


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False))
@click.option("--database", help="Database URL; default: SQLite in the data directory.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--role",
    default="all",
    show_default=True,
    type=click.Choice(["all", "web", "collect", "jobs"]),
)
def serve(
    host: str, port: int, data_dir: Path | None, database: str | None, workers: int, role: str
) -> None:
    """Serve pages, the API and the doors for readings; poll hosts, close days by itself."""
    settings = settings_with(data_dir=data_dir, database=database)
    run_server(settings, host=host, port=port, workers=workers, role=role)


class PortTakenError(RuntimeError):
    """Another program listens where the server should."""


def run_server(settings: Settings, *, host: str, port: int, workers: int, role: str) -> None:
    """
    Bring the schema up to date and serve until told to stop.

    :raises PortTakenError: if another program listens there.
    """
    require_free_port(host, port)
    require_right(settings)
    personal_data(data_dir=settings.data_dir, secret_key=settings.secret_key)
    with opened_database(settings) as opened:
        opened.require_durable()
    settings = msgspec.structs.replace(settings, data_dir=settings.data_dir.absolute(), role=role)
    # The workers are processes of their own and read their settings again.
    for name in SENTENCES:
        os.environ[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = str(getattr(settings, name))
    Server(
        target="meterbook.app:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=workers,
        websockets=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=DRAIN_S,
        respawn_failed_workers=True,
        **connection_limits(),
    ).serve()


def require_free_port(host: str, port: int) -> None:
    """
    Make sure that a server could listen there.

    :raises PortTakenError: if another program does.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTakenError(
                f"port {port} of {host} is taken by another program; --port chooses another"
            ) from None
