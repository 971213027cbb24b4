"""
The HTTP server, also on a listening socket that somebody else holds open.

systemd hands such a socket over (`sd_listen_fds(3)`) and keeps it while the service restarts: who
connects meanwhile waits in its queue instead of being refused.
"""

import os
from pathlib import Path

from granian.constants import Interfaces, Loops, SSLProtocols
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server import Server

from meterbook.cli.connections import connection_limits

_FIRST_HANDED = 3  # sd_listen_fds(3): after stdin, stdout and stderr


def handed_socket() -> int | None:
    """Return the descriptor of the one listening socket handed to this process; None if none is."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return _FIRST_HANDED


class _OnHandedSocket(Server):  # type: ignore[misc, valid-type]
    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None
        is_unix = False
        self._shd = SocketHolder(_FIRST_HANDED, is_unix, self.backlog)  # type: ignore[call-arg]
        self._sfd = _FIRST_HANDED


def serve_application(
    *, host: str, port: int, workers: int, end_s_max: int, tls: tuple[Path, Path] | None
) -> None:
    """
    Serve `meterbook.app` until told to stop.

    :param end_s_max: how long a process may take from the signal to its end.
    :param tls: files of the certificate and its key; None: plain HTTP.
    """
    certificate, key = tls or (None, None)
    server = _OnHandedSocket if handed_socket() is not None else Server
    server(
        target="meterbook.app:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=workers,
        websockets=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=end_s_max,
        respawn_failed_workers=True,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
        **connection_limits(),
    ).serve()
