"""
The HTTP server, also on a listening socket that somebody else holds open.

systemd hands such a socket over (`sd_listen_fds(3)`) and keeps it while the service restarts: who
connects meanwhile waits in its queue instead of being refused.
"""

import os
import socket
import ssl
import sys
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from meterbook.intake.modbus.open_files import allow_many_open_files
from meterbook.serving.accepting import Accepting, Crowd
from meterbook.serving.connections import SILENT_S_MAX, Connection, connections_max
from meterbook.serving.workers import run_workers

GRACE_S = 8  # for requests in flight, once the draining is over
QUEUED_MAX = 4_096  # connections that wait to be let in; the kernel may allow fewer
_FIRST_HANDED = 3  # sd_listen_fds(3): after stdin, stdout and stderr
_TICKS_A_LOOK = 10  # of 0.1 s


def handed_socket() -> int | None:
    """Return the descriptor of the one listening socket handed to this process; None if none is."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return _FIRST_HANDED


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, crowd: Crowd | None, number: int) -> None:
        super().__init__(config)
        self._crowd = crowd
        self._number = number
        self._accepting: list[Accepting] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._crowd is None:
            await super().startup(sockets)
            return
        await super().startup([])
        for listening in sockets or []:
            accepting = Accepting(
                listening,
                self._connection,
                tls=self.config.ssl,
                crowd=self._crowd,
                number=self._number,
                connections=lambda: len(self.server_state.connections),
                connections_max=connections_max(),
            )
            self._accepting.append(accepting)
            self.servers.append(accepting)  # type: ignore[arg-type]  # it is closed as a server is

    def _connection(self) -> Connection:
        return Connection(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def on_tick(self, counter: int) -> bool:
        for accepting in self._accepting:
            accepting.note()
        if counter % _TICKS_A_LOOK == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.let_go_if_still(connection.loop.time())
        return await super().on_tick(counter)

    def handle_exit(self, _number: int, _frame: FrameType | None) -> None:
        # Not as uvicorn does: who is told twice to stop must not skip closing the books.
        self.should_exit = True


def serve_application(
    target: str = "meterbook.app:create_app",
    *,
    port: int,
    host: str = "127.0.0.1",
    workers: int = 1,
    end_s_max: int = 10,
    tls: tuple[Path, Path] | None = None,
) -> None:
    """
    Serve an ASGI application until told to stop; ends the process if its workers cannot live.

    :param target: `module:function` that makes the application in each worker.
    :param end_s_max: how long a process may take from the signal to its end.
    :param tls: files of the certificate and its key; None: plain HTTP.
    """
    allow_many_open_files()
    listening = _listening_socket(host, port)
    crowd = Crowd(workers)
    # uvloop's own way lets in more a second, but minds neither neighbours nor handshakes.
    is_minded = workers > 1 or tls is not None
    serve = partial(_serve, target, listening, tls=tls, crowd=crowd if is_minded else None)
    code = run_workers(serve, count=workers, end_s_max=end_s_max, ended=crowd.leave)
    listening.close()
    if code:
        sys.exit(code)


def _serve(
    target: str,
    listening: socket.socket,
    number: int,
    *,
    tls: tuple[Path, Path] | None,
    crowd: Crowd | None,
) -> None:
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        target,
        factory=True,
        interface="asgi3",
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,  # whom to believe is ours to say: access.client_address
        server_header=False,
        backlog=QUEUED_MAX,
        timeout_keep_alive=SILENT_S_MAX,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    _Server(config, crowd=crowd, number=number).run([listening])


def _listening_socket(host: str, port: int) -> socket.socket:
    handed = handed_socket()
    if handed is not None:
        return socket.socket(fileno=handed)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen(QUEUED_MAX)
    return listening
