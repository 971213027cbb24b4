"""Worker processes: started anew when they die, unless they die at once; told to stop together."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from servers import free_port

WAIT_S = 20


def running(work: str, *, count: int = 2, end_s_max: float = 10) -> subprocess.Popen[str]:
    """Start workers that do this, in a process of its own, and return it."""
    program = (
        "import os, signal, sys, time\n"
        "from meterbook.serving.workers import run_workers\n"
        f"def work(number):\n{textwrap.indent(textwrap.dedent(work), '    ')}\n"
        f"sys.exit(run_workers(work, count={count}, end_s_max={end_s_max}))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def pids(process: subprocess.Popen[str], count: int) -> list[int]:
    assert process.stdout
    return [int(process.stdout.readline()) for _ in range(count)]


WAITING = """
    os.write(1, b"%d\\n" % os.getpid())  # in one piece, whoever else writes
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(0)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_are_told_to_stop(number: signal.Signals) -> None:
    with running(WAITING) as process:
        assert len(set(pids(process, 2))) == 2
        process.send_signal(number)
        assert process.wait(WAIT_S) == 0


def test_one_that_dies_is_started_anew() -> None:
    with running(WAITING) as process:
        first, second = pids(process, 2)
        os.kill(first, signal.SIGKILL)
        [third] = pids(process, 1)
        assert third not in {first, second}
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


def test_two_that_die_together_are_both_started_anew() -> None:
    with running(WAITING) as process:
        first = pids(process, 2)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        assert not {*pids(process, 2)} & {*first}
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize("work", ["sys.exit(3)", "raise RuntimeError", "os._exit(0)"])
def test_those_that_cannot_live_end_their_parent(work: str) -> None:
    with running(work) as process:
        assert process.wait(WAIT_S) == 1


def test_one_that_does_not_end_is_killed() -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with running(deaf, count=1, end_s_max=0.5) as process:
        pids(process, 1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        assert time.monotonic() - began > 0.4


def test_a_server_that_cannot_start_says_so_and_ends(tmp_path: Path) -> None:
    program = f"serve_application('meterbook.app:nothing', port={free_port()})"
    ended = subprocess.run(
        [sys.executable, "-c", f"from meterbook.serving.server import *\n{program}"],
        cwd=tmp_path, timeout=WAIT_S * 2, check=False, capture_output=True,
    )  # fmt: skip
    assert ended.returncode == 1
