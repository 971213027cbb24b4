"""Really started servers: a process of its own on a free loopback port."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from warm_servers import WarmProcess, start_warm

START_S_MAX = 60
COMMAND = ("-m", "meterbook", "serve")


class ServerDidNotStartError(RuntimeError):
    """The server ended or did not get ready; carries what it printed."""


class Server:
    """A started server and the way to end it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes] | WarmProcess,
        port: int,
        log: Path,
        *,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.process = process
        self.url = f"{'https' if trusted else 'http'}://127.0.0.1:{port}"
        self.log = log
        self._trusted = trusted

    def kill(self) -> None:
        """Pull the plug: SIGKILL for every process of the server at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.kill()

    def wait_until_ready(self) -> None:
        """Wait until it can store packets."""
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise ServerDidNotStartError(self.log.read_text(encoding="utf-8"))
            if self._is_ready():
                return
            time.sleep(0.02)
        raise ServerDidNotStartError(self.log.read_text(encoding="utf-8"))

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"{self.url}/health/ready", timeout=5, context=self._trusted
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> int:
    """Return the first of as many loopback ports in a row that nothing listens on."""
    while True:
        first = free_port()
        if first + count < 65_536 and all(map(_is_free, range(first, first + count))):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def running_server(
    folder: Path,
    *,
    database_url: str = "",
    settings: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
    cold: bool = False,
    trusted: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """
    Start a server, wait until it is ready, and leave nothing of it behind.

    It is forked from a process that has its imports, unless it is another command or has
    variables of its own.

    :param folder: its data directory.
    :param settings: more of them, `{"timezone": "Europe/London"}`.
    :param command: what Python runs; `--port` is added.
    :param environment: variables that are no settings.
    :param cold: start Python itself, as a user does.
    :param trusted: if it speaks TLS, what knows its certificate.
    """
    port = free_port()
    variables = {
        **{name: text for name, text in os.environ.items() if not name.startswith("METERBOOK_")},
        **(environment or {}),
        "METERBOOK_DATA_DIR": str(folder),
        **({"METERBOOK_DATABASE": database_url} if database_url else {}),
        **{f"METERBOOK_{name.upper()}": text for name, text in (settings or {}).items()},
    }
    log = folder / "server.log"
    folder.mkdir(parents=True, exist_ok=True)
    command = [*command, "--port", str(port)]
    process: subprocess.Popen[bytes] | WarmProcess
    if tuple(command[:3]) == COMMAND and not environment and not cold:
        process = start_warm(variables=variables, log=log, arguments=command[3:])
    else:
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=variables,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    server = Server(process, port, log, trusted=trusted)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()
