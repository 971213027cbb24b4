"""
Metrics of every worker of a server, whichever of them is asked.

Workers are processes that count for themselves, and a scrape reaches any one of them. So each
answers its neighbours too, on a Unix socket in a folder that the server made for them, and every
sample says whose it is: `worker="2"`. The number is a place, not a process: who takes the place of
a worker that died gets its number, and its counters begin again at 0, as Prometheus expects.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TextIO

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

FOLDER_VARIABLE = "_METERBOOK_WORKERS"  # from the server to its workers; not a setting
ANSWER_S_MAX = 2.0  # a worker that is busy for longer is missing in this answer


class WorkerMetrics:
    """What this process knows of its neighbours."""

    def __init__(self) -> None:
        """Prepare; without the folder there are no neighbours."""
        folder = os.environ.get(FOLDER_VARIABLE)
        self._folder = Path(folder) if folder else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer the neighbours until the end."""
        if self._folder is None:
            yield
            return
        with ExitStack() as held:
            number = _take_number(self._folder, held)
            own = self._folder / f"{number}.sock"
            own.unlink(missing_ok=True)
            listening = held.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(own))
            listening.listen()
            threading.Thread(target=_answer, args=(listening,), daemon=True).start()
            try:
                yield
            finally:
                own.unlink(missing_ok=True)
                listening.shutdown(socket.SHUT_RDWR)

    def text(self) -> bytes:
        """Return the metrics of all workers in Prometheus's text format."""
        if self._folder is None:
            return generate_latest()
        answers = {file.stem: _ask(file) for file in sorted(self._folder.glob("*.sock"))}
        registry = CollectorRegistry()
        registry.register(_Merged(answers))
        return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, answers: dict[str, str]) -> None:
        self._answers = answers

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for worker, answer in self._answers.items():
            for metric in text_string_to_metric_families(answer):
                known = merged.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                known.samples += [
                    sample._replace(labels={"worker": worker, **sample.labels})
                    for sample in metric.samples
                ]
        yield from merged.values()


def _take_number(folder: Path, held: ExitStack) -> int:
    for number in count(1):
        lock: TextIO = held.enter_context((folder / f"{number}.lock").open("w"))
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number
    raise AssertionError  # count() has no end


def _answer(listening: socket.socket) -> None:
    with suppress(OSError):  # shut down: nobody asks any more
        while True:
            asking, _ = listening.accept()
            with asking, suppress(OSError):
                asking.settimeout(ANSWER_S_MAX)
                asking.sendall(generate_latest())


def _ask(file: Path) -> str:
    parts = []
    with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
        asking.settimeout(ANSWER_S_MAX)
        asking.connect(str(file))
        while part := asking.recv(1 << 16):
            parts.append(part)
        return b"".join(parts).decode()
    return ""
