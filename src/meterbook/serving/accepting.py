"""
Who lets in the next connection, when several workers listen on one socket.

The kernel wakes all of them, in the same order each time, and the first takes it. Left alone one
worker gets nearly every connection, and keeps it, because clients keep theirs: of 64 that came
20 ms apart, 62 and more. So each worker says in shared memory how many it has, and one that has
clearly more than another leaves the next to that one for a moment, and takes it if it is still
there; the one that waits in vain again and again takes more each time.

Whoever is still at its TLS handshake counts, too; so a single worker that speaks TLS uses this.
"""

import asyncio
import mmap
import socket
import ssl
from collections.abc import Callable

import structlog

from meterbook.stopping import has_left_queue

HANDSHAKE_S_MAX = 30  # of TLS: a small meter on a slow line takes seconds for it
PATIENCE_S = 0.005  # for the one that has fewer; it may be busy, or stopped
SPREAD = 2  # how many more is not clearly more: programs keep a few connections, not hundreds
SPREAD_SHARE = 8  # of many, an eighth
AT_ONCE = 8  # let in before anything else is done
FULL_S = 0.1  # until the next try, when there is no room for another open file
_ABSENT = -1

_log = structlog.get_logger()


class Crowd:
    """How many connections each worker has, for all of them to see; made before they are."""

    def __init__(self, workers: int) -> None:
        """Make room for so many; none of them is there yet."""
        self._counts = memoryview(mmap.mmap(-1, 4 * workers)).cast("i")
        for number in range(workers):
            self.leave(number)

    def note(self, number: int, connections: int) -> None:
        """Say how many a worker has."""
        self._counts[number] = connections

    def leave(self, number: int) -> None:
        """Say that a worker lets nobody in."""
        self._counts[number] = _ABSENT

    def has_more(self, number: int) -> bool:
        """Say whether a worker has clearly more than another."""
        fewest = min((count for count in self._counts if count != _ABSENT), default=0)
        return self._counts[number] > fewest + max(SPREAD, fewest // SPREAD_SHARE)


class Accepting:
    """Lets connections in, as an `asyncio.Server` does, and leaves some to other workers."""

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None,
        crowd: Crowd,
        number: int,
        connections: Callable[[], int],
        connections_max: int,
    ) -> None:
        """
        Begin, in the running event loop.

        :param number: this worker's, in the crowd.
        :param connections: returns how many are open.
        :param connections_max: how many may be, those included that are just coming in.
        """
        self._listening = listening
        self._make_protocol = make_protocol
        self._tls = tls
        self._crowd = crowd
        self._number = number
        self._connections = connections
        self._connections_max = connections_max
        self._beginning: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._in_vain = 0  # connections to take after waiting for others, twice as many each time
        self._left_over = 0  # of them
        self._is_full = False
        self._loop = asyncio.get_running_loop()
        listening.settimeout(0)
        self.note()
        self._watch()

    def note(self) -> None:
        """Say how many connections there are now."""
        self._crowd.note(self._number, self._count())

    def close(self) -> None:
        """Let nobody in any more."""
        self._crowd.leave(self._number)
        self._loop.remove_reader(self._listening)
        if self._later is not None:
            self._later.cancel()

    async def wait_closed(self) -> None:
        """End those that are still coming in: they have asked for nothing yet."""
        for task in self._beginning:
            task.cancel()
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _count(self) -> int:
        return self._connections() + len(self._beginning)

    def _watch(self) -> None:
        self._later = None
        if has_left_queue():
            return
        self._loop.add_reader(self._listening, self._look)
        if self._left_over:
            self._look()  # now: were they taken, the next is not one of them

    def _look(self) -> None:
        for _ in range(AT_ONCE):
            self.note()
            if not self._crowd.has_more(self._number):
                self._in_vain = self._left_over = 0
            elif self._left_over:
                self._left_over -= 1
            else:
                self._in_vain = min(2 * self._in_vain, AT_ONCE) or 1
                self._left_over = self._in_vain
                self._look_again_in(PATIENCE_S)
                return
            try:
                connection, _address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._in_vain = self._left_over = 0
                return
            except OSError as error:
                if not self._is_full:
                    _log.warning("no room for a connection", error=str(error))
                self._is_full = True
                self._look_again_in(FULL_S)
                return
            self._is_full = False
            if self._count() >= self._connections_max:
                connection.close()
                continue
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    def _look_again_in(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(seconds, self._watch)

    async def _begin(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_S_MAX if self._tls else None,
            )
        except (OSError, TimeoutError):  # it hung up, or does not speak TLS
            connection.close()
