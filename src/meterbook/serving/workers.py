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
from functools import partial

CRASH_LOOP_S = 5.5
_TOLD = (signal.SIGTERM, signal.SIGINT)
_AWAITED = (*_TOLD, signal.SIGCHLD, signal.SIGALRM) if hasattr(signal, "SIGCHLD") else _TOLD


class _Parent:
    """
    Waits for signals one after the other, with no handlers.

    A handler that comes just before `wait()` would leave it waiting for children that nobody told.
    """

    def __init__(
        self, work: Callable[[int], None], *, ended: Callable[[int], None], end_s_max: float
    ) -> None:
        self._work = work
        self._ended = ended
        self._end_s_max = end_s_max
        self._children: dict[int, int] = {}  # pid: number
        self._is_stopping = False
        self._died_at: dict[int, float] = {}
        self._crashes = False

    def run(self, count: int) -> int:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        for number in range(count):
            self._begin(number)
        while self._children:
            told = signal.sigwait(_AWAITED)
            if told == signal.SIGCHLD:
                self._look_after_the_dead()
            elif told == signal.SIGALRM:
                self._tell_all(signal.SIGKILL)
            else:
                self._stop(told)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return 1 if self._crashes else 0

    def _begin(self, number: int) -> None:
        child = os.fork()
        if child == 0:
            _be_worker(partial(self._work, number))
        self._children[child] = number

    def _look_after_the_dead(self) -> None:
        # One signal may stand for several of them.
        for child in [*self._children]:
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                continue
            number = self._children.pop(child)
            self._ended(number)
            if self._is_stopping:
                continue
            before = self._died_at.get(number, -CRASH_LOOP_S)
            self._died_at[number] = time.monotonic()
            self._crashes = self._died_at[number] - before < CRASH_LOOP_S
            if self._crashes:
                self._stop(signal.SIGINT)
            else:
                self._begin(number)

    def _stop(self, told: int) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._end_s_max)
        self._tell_all(told)

    def _tell_all(self, told: int) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, told)


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


def run_workers(
    work: Callable[[int], None],
    *,
    count: int,
    end_s_max: float,
    ended: Callable[[int], None] = lambda _number: None,
) -> int:
    """
    Run the work in so many processes until they are told to stop, and return the exit code.

    SIGTERM and SIGINT are passed on.

    :param work: called with the number of its worker, from 0; one in the place of a dead one has
        that one's.
    :param end_s_max: how long a worker may take from the signal to its end.
    :param ended: called in the parent with the number of one that has ended.
    """
    if not hasattr(os, "fork"):  # Windows
        work(0)
        return 0
    return _Parent(work, ended=ended, end_s_max=end_s_max).run(count)
