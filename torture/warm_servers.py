"""
Servers that start quickly: forked from a process that has imported everything already.

It is the real `meterbook serve`, in a process group of its own; only its imports were done before.
A start takes a third of the processor time.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from servers import Server, free_port

PRELOADED = [
    "meterbook.cli.serve", "torture.warmed", "torture.kill_points",
    "torture.early_acknowledgement", "alembic.command", "sqlalchemy.dialects.postgresql.psycopg",
]  # fmt: skip
SERVE = "meterbook.cli.serve"
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(PRELOADED)


class _Process:
    """A forked server as `servers.Server` knows processes."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    def poll(self) -> int | None:
        exit_code: int | None = self._process.exitcode
        return exit_code

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        exit_code = self.poll()
        if exit_code is None:
            raise TimeoutError(f"process {self.pid} runs on")
        return exit_code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


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
        **(environment or {}),
        "METERBOOK_DATA_DIR": str(folder),
        "METERBOOK_DATABASE": database_url,
    }
    process = _warm.Process(target=_serve, args=(program, port, log, variables))
    process.start()
    server = Server(_Process(process), port, log)  # type: ignore[arg-type]
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()
        process.close()


def _serve(program: str, port: int, log: Path, variables: Mapping[str, str]) -> None:
    os.setsid()
    os.environ.update(variables)
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    module = import_module(program)
    arguments: Sequence[str] = ["--port", str(port)]
    if program == SERVE:
        module.serve.main(arguments, standalone_mode=False)
    else:
        sys.argv = [program, *arguments]
        module.serve()
