"""
Worker processes: each started anew when it dies, and told what their parent is told.

A worker that dies twice in a moment would die for ever: then the parent ends, and says so by its
exit code, so that whoever started it learns of it.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

CRASH_LOOP_S = 5.5
_TOLD = (signal.SIGTERM, signal.SIGINT)


class _Parent:
    def __init__(self, work: Callable[[], None], *, end_s_max: float) -> None:
        self._work = work
        self._end_s_max = end_s_max
        self._children: set[int] = set()
        self._is_stopping = False

    def run(self, count: int) -> int:
        for number in _TOLD:
            signal.signal(number, self._tell)
        signal.signal(signal.SIGALRM, self._kill)
        for _ in range(count):
            self._begin()
        died_at = -CRASH_LOOP_S
        crashes = False
        while self._children:
            child, _ = os.wait()
            self._children.discard(child)
            if self._is_stopping:
                continue
            crashes = time.monotonic() - died_at < CRASH_LOOP_S
            died_at = time.monotonic()
            if crashes:
                self._tell(signal.SIGINT, None)
            else:
                self._begin()
        signal.setitimer(signal.ITIMER_REAL, 0)
        return 1 if crashes else 0

    def _begin(self) -> None:
        # Whoever is told to stop between the fork and its note would forget the new one.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
        child = 0 if self._is_stopping else os.fork()
        if child == 0 and not self._is_stopping:
            _be_worker(self._work)
        if child:
            self._children.add(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)

    def _tell(self, number: int, _frame: FrameType | None) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._end_s_max)
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _be_worker(work: Callable[[], None]) -> None:
    """Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
        work()
        code = 0
    except KeyboardInterrupt:
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 the parent sees only the exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_workers(work: Callable[[], None], *, count: int, end_s_max: float) -> int:
    """
    Run the work in so many processes until they are told to stop, and return the exit code.

    SIGTERM and SIGINT are passed on.

    :param end_s_max: how long a worker may take from the signal to its end.
    """
    if not hasattr(os, "fork"):  # Windows
        work()
        return 0
    return _Parent(work, end_s_max=end_s_max).run(count)
