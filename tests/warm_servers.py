"""
Servers that start quickly: forked from a process that has imported everything already.

It is the real `meterbook serve`, in a process group of its own; only its imports were done before.
A start takes a quarter of the time.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

PRELOADED = [
    "meterbook.cli.serve", "torture.warmed", "alembic.command",
    "sqlalchemy.dialects.postgresql.psycopg",
]  # fmt: skip
SERVE = "meterbook.cli.serve"
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(PRELOADED)


class WarmProcess:
    """A forked server, as `subprocess.Popen` shows processes."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    def poll(self) -> int | None:
        """Return how it ended, or None if it runs."""
        exit_code: int | None = self._process.exitcode
        return exit_code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return how it ended, or raise TimeoutError."""
        self._process.join(timeout)
        exit_code = self.poll()
        if exit_code is None:
            raise TimeoutError(f"process {self.pid} runs on")
        return exit_code

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it, not what it started."""
        self._process.kill()


def start_warm(
    *, variables: Mapping[str, str], log: Path, arguments: Sequence[str], program: str = SERVE
) -> WarmProcess:
    """
    Start a server.

    :param variables: its whole environment.
    :param log: what it prints goes there.
    :param program: the module that serves: the real one, or one with a fault in it.
    """
    process = _warm.Process(
        target=_serve, args=(program, [*arguments], log, {**variables}, Path.cwd())
    )
    process.start()
    return WarmProcess(process)


def _serve(
    program: str, arguments: list[str], log: Path, variables: dict[str, str], folder: Path
) -> None:
    os.setsid()
    os.chdir(folder)
    multiprocessing.set_start_method("fork", force=True)  # as in the real server, for its worker
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    module = import_module(program)
    if program == SERVE:
        module.serve.main(arguments, standalone_mode=False)
    else:
        sys.argv = [program, *arguments]
        module.serve()
