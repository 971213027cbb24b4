"""
Blocks a second, and hosts a collector keeps up with, against virtual devices in another process.

Blocks: hosts on as many buses, each asked again as soon as it has answered, as fast as one process
can. Hosts by CPU: how many such polls fit into a minute of one core. Turns kept: 500 hosts every
five seconds, which is the load of 6,000 every minute, on their grid as the server polls them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, repeated, show

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

RUNS = 3
SECONDS = 5
BUSES = 500
MODEL = "sdm630"
AIM_BLOCKS = 3_000
AIM_HOSTS = 5_000
_WORKER = Path(__file__).parent / "collector_worker.py"


def figures() -> list[Figure]:
    """Measure, each figure in a fresh collector process."""
    runs = repeated(RUNS, _measure)
    return [
        Figure("blocks of registers, one process", "blocks/s", runs["blocks"], AIM_BLOCKS),
        Figure("hosts at one-minute polling, by CPU", "hosts", runs["hosts"], AIM_HOSTS),
        Figure("turns kept by 500 hosts every 5 s", "%", runs["kept"], 100),
        Figure("a poll of 34 measurements in 3 blocks, CPU", "ms", runs["poll_ms"]),
        Figure("memory a host", "KiB", runs["host_kib"]),
    ]


def _measure() -> dict[str, float]:
    with virtual_devices(BUSES, model=MODEL) as first_port:
        done = subprocess.run(
            [sys.executable, str(_WORKER), str(first_port), str(BUSES), str(SECONDS), MODEL],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


@contextmanager
def virtual_devices(count: int, *, model: str, options: tuple[str, ...] = ()) -> Iterator[int]:
    """Start devices on as many ports in another process, and give the first port."""
    with starting_devices(count, model=model, options=options) as (first_port, wait_until_ready):
        wait_until_ready()
        yield first_port


@contextmanager
def starting_devices(
    count: int, *, model: str, options: tuple[str, ...] = ()
) -> Iterator[tuple[int, Callable[[], None]]]:
    """Start devices, and give the first port and what waits until they are ready."""
    first_port = servers.free_ports(count)
    command = ["-m", "meterbook", "simulate", "modbus", "--port", str(first_port)]
    process = subprocess.Popen(
        [sys.executable, *command, "--hosts", str(count), "--model", model, *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = process.stdout
    assert told

    def wait_until_ready() -> None:
        assert told.readline(), "the virtual devices did not start"

    try:
        yield first_port, wait_until_ready
    finally:
        process.terminate()
        process.wait(timeout=30)
        told.close()


if __name__ == "__main__":
    show(figures())
