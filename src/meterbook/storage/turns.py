"""
Turns to write: who waited longest comes next, and a long turn is followed by as long for others.

Python's own lock goes to whoever is at it first when it is free, and that is nearly always the
thread that has just given it back: under a stream of packets another writer would wait until it is
told that the database is stuck. And whoever writes one long transaction after the other, as the
close of a day does, would have all but a hundredth of the time if packets came in between only
once each.

    packets  │p│    wait    │p│p│p│p│p│p│p│p│p│    wait    │p│p│ ...
    close      │ a long turn│  lets others    │ a long turn│
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from sqlalchemy.exc import TimeoutError  # noqa: A004 what a pool raises that gives no connection

LONG_S = 0.02  # a shorter turn is too short to be felt
REST_S_MAX = 1.0


class _Last(threading.local):
    """The last turn of each thread."""

    number = 0
    began = 0.0
    rests_until = 0.0


class Turns:
    """What one thread at a time may have: `with turns:` waits for a turn and has it."""

    def __init__(
        self,
        *,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Begin with nobody.

        :param patience_s: for how long a thread waits.
        :param clock: never goes back, in seconds.
        """
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._state = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()
        self._number = 0
        self._last = _Last()

    def __enter__(self) -> None:
        """
        Wait for a turn.

        :raises sqlalchemy.exc.TimeoutError: if none came in time.
        """
        self._let_others()
        self._wait()
        last = self._last
        self._number += 1
        last.number, last.began = self._number, self._clock()

    def __exit__(self, *_: object) -> None:
        """End it."""
        last, ended = self._last, self._clock()
        took = ended - last.began
        last.rests_until = ended + min(took, REST_S_MAX) if took >= LONG_S else 0.0
        with self._state:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def _let_others(self) -> None:
        last = self._last
        rest_s = last.rests_until - self._clock()
        if rest_s > 0 and (self._waiting or self._number != last.number):
            self._sleep(rest_s)

    def _wait(self) -> None:
        with self._state:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=self._patience_s):
            return
        with self._state:
            if mine in self._waiting:
                self._waiting.remove(mine)
                raise TimeoutError(f"no turn to write came in {self._patience_s:g} s")
        # Otherwise it came after all, just before we looked.
