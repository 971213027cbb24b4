"""
The pace of long work beside packets: a short part, then a rest ten times as long.

A machine with a million meters has work for a minute when it starts: done at a stretch, on a few
cores, packets and pages would have the rest of them.
"""

import time
from collections.abc import Callable

REST = 10  # times as long as the part before it took
PART_S = 0.05  # of work at a stretch, or what cannot be done in parts


class Pace:
    """Says when a part is over, and rests."""

    def __init__(
        self, wait: Callable[[float], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Prepare; the first part begins with `begin`.

        :param wait: waits so many seconds; True: the process ends, and so must the work.
        :param clock: never goes back, in seconds.
        """
        self._wait = wait
        self._clock = clock
        self._began = 0.0
        self._ends = False

    def begin(self) -> None:
        """Begin a part: what was before it was no work."""
        self._began = self._clock()

    def is_over(self) -> bool:
        """Say whether the part has lasted long enough."""
        return self._clock() - self._began >= PART_S

    def may_go_on(self) -> bool:
        """Rest if the part is over, and say whether to go on; if not, stop where you are."""
        if not self._ends and self.is_over():
            self._ends = self._wait(REST * (self._clock() - self._began))
            self.begin()
        return not self._ends


def unhurried() -> Pace:
    """Return a pace without rests, for what waits for nothing but the end."""
    return Pace(lambda _seconds: False)
