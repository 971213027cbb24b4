"""`meterbook serve`: the server."""

import errno
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from meterbook.api.worker_metrics import FOLDER_VARIABLE
from meterbook.cli.listening_server import handed_socket, serve_application
from meterbook.cli.opened import opened_database, settings_with
from meterbook.cli.right_settings import require_right
from meterbook.registry.personal_data import personal_data, require_key_of_book
from meterbook.settings import ENVIRONMENT_PREFIX, SENTENCES, Settings

END_S_MAX = 10  # how long requests in flight and jobs may take once the draining is over


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
    :raises SecretKeyError: if the book's personal data is encrypted with another key.
    """
    if handed_socket() is None:
        require_free_port(host, port)
    require_right(settings)
    personal = personal_data(data_dir=settings.data_dir, secret_key=settings.secret_key)
    with opened_database(settings) as opened:
        opened.require_durable()
        with opened.reading() as connection:
            require_key_of_book(connection, personal)
    settings = msgspec.structs.replace(settings, data_dir=settings.data_dir.absolute(), role=role)
    # The workers are processes of their own and read their settings again.
    for name in SENTENCES:
        os.environ[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = str(getattr(settings, name))
    with TemporaryDirectory(prefix="meterbook-workers-") as folder:
        if workers > 1:
            os.environ[FOLDER_VARIABLE] = folder
        serve_application(
            host=host,
            port=port,
            workers=workers,
            end_s_max=settings.drain_seconds + END_S_MAX,
        )


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
