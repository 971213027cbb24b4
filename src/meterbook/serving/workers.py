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

CRASH_LOOP_S = 5.5
_TOLD = (signal.SIGTERM, signal.SIGINT)
_AWAITED = (*_TOLD, signal.SIGCHLD, signal.SIGALRM) if hasattr(signal, "SIGCHLD") else _TOLD


class _Parent:
    """
    Waits for signals one after the other, with no handlers.

    A handler that comes just before `wait()` would leave it waiting for children that nobody told.
    """

    def __init__(self, work: Callable[[], None], *, end_s_max: float) -> None:
        self._work = work
        self._end_s_max = end_s_max
        self._children: set[int] = set()
        self._is_stopping = False
        self._died_at = -CRASH_LOOP_S
        self._crashes = False

    def run(self, count: int) -> int:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        for _ in range(count):
            self._begin()
        while self._children:
            number = signal.sigwait(_AWAITED)
            if number == signal.SIGCHLD:
                self._look_after_the_dead()
            elif number == signal.SIGALRM:
                self._tell_all(signal.SIGKILL)
            else:
                self._stop(number)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return 1 if self._crashes else 0

    def _begin(self) -> None:
        child = os.fork()
        if child == 0:
            _be_worker(self._work)
        self._children.add(child)

    def _look_after_the_dead(self) -> None:
        # One signal may stand for several of them.
        for child in [*self._children]:
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                continue
            self._children.discard(child)
            if self._is_stopping:
                continue
            self._crashes = time.monotonic() - self._died_at < CRASH_LOOP_S
            self._died_at = time.monotonic()
            if self._crashes:
                self._stop(signal.SIGINT)
            else:
                self._begin()

    def _stop(self, number: int) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._end_s_max)
        self._tell_all(number)

    def _tell_all(self, number: int) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, number)


def _be_worker(work: Callable[[], None]) -> None:
    """Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
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
