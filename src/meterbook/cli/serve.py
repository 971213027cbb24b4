"""`meterbook serve`: the server."""

import errno
import os
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from meterbook.api.worker_metrics import FOLDER_VARIABLE
from meterbook.cli.opened import opened_database, settings_with
from meterbook.cli.right_settings import require_right
from meterbook.registry.personal_data import personal_data, require_key_of_book
from meterbook.serving.server import handed_socket, serve_application
from meterbook.settings import ENVIRONMENT_PREFIX, FROM_FILES, ROLES, SENTENCES, Settings

END_S_MAX = 10  # how long requests in flight and jobs may take once the draining is over
_PEM_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False))
@click.option("--database", help="Database URL; default: SQLite in the data directory.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="What this process does; default: METERBOOK_ROLE, or all.",
)
@click.option("--tls-certificate", type=_PEM_FILE, help="Chain in PEM: serve HTTPS.")
@click.option("--tls-key", type=_PEM_FILE, help="The certificate's key in PEM, unencrypted.")
def serve(
    host: str,
    port: int,
    data_dir: Path | None,
    database: str | None,
    workers: int,
    role: str | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve pages, the API and the doors for readings; poll hosts, close days by itself."""
    settings = settings_with(data_dir=data_dir, database=database)
    run_server(
        settings,
        host=host,
        port=port,
        workers=workers,
        role=role or settings.role,
        tls=_tls(tls_certificate, tls_key),
    )


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-certificate and --tls-key belong together")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except ssl.SSLError:
        raise CertificateError(f"{certificate} and {key} are no certificate and its key") from None
    return certificate, key


class CertificateError(ValueError):
    """The server could not show this certificate."""


class NoAddressError(RuntimeError):
    """Nobody could listen at this address."""


class PortTakenError(RuntimeError):
    """Another program listens where the server should."""


def run_server(
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int,
    role: str,
    tls: tuple[Path, Path] | None = None,
) -> None:
    """
    Bring the schema up to date and serve until told to stop.

    :param tls: files of the certificate and its key; None: plain HTTP.
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
    for name in FROM_FILES:  # those files have been read, and may be readable only here
        os.environ.pop(f"{ENVIRONMENT_PREFIX}{name.upper()}_FILE", None)
    with ExitStack() as held:
        if workers > 1:
            folder = held.enter_context(TemporaryDirectory(prefix="meterbook-workers-"))
            os.environ[FOLDER_VARIABLE] = folder
        serve_application(
            host=host,
            port=port,
            workers=workers,
            end_s_max=settings.drain_seconds + END_S_MAX,
            tls=tls,
        )


def require_free_port(host: str, port: int) -> None:
    """
    Make sure that a server could listen there.

    :raises PortTakenError: if another program does.
    :raises NoAddressError: if this machine has no such address, or the port is not ours to take.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NoAddressError(f"--host {host}: {error.strerror}") from None
    family, kind, _, _, address = found[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise NoAddressError(f"--host {host}, --port {port}: {error.strerror}") from None
            raise PortTakenError(
                f"port {port} of {host} is taken by another program; --port chooses another"
            ) from None
