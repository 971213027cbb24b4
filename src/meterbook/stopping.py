"""
Being told to stop: first turned away from, then handed over, then closed.

    SIGTERM ──► draining for `drain_seconds` ──► no new connections, open requests end ──► away

While it drains the server answers everything as always; only `/health/ready` says 503 and every
answer asks for a new connection, so that whoever balances between nodes goes to another one before
this one closes. SIGINT, a person at the keyboard, skips the draining.

Where the listening socket outlives the process, because systemd holds it, nobody is turned away:
connections are left in its queue first, for the next process, and those taken already are answered.

A server lets open answers finish before it tells the application that it stops, and a live stream
never finishes. So the signals themselves are listened to, beside the server.

A worker whose server was killed would hear no signal at all: it would keep the port, and with it
the next server from starting. So it watches for that itself.
"""

import asyncio
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
_CLOSE = (b"connection", b"close")
_queue_is_left = threading.Event()
_TAKEN_S = 1.0  # connections taken already send their request within

LOOK_EVERY_S = 0.5
ORPHAN_DRAIN_S = 10  # as long as a server gives its worker for requests in flight


class Stopping:
    """Whether this process has been told to stop, and what it does then."""

    def __init__(self, *, drain_s: int) -> None:
        """
        Prepare; `listen` begins.

        :param drain_s: for how long requests are answered as always after SIGTERM.
        """
        self.has_begun = False
        self._drain_s = drain_s
        self._acts: Sequence[Callable[[], None]] = ()

    def listen(self, *acts: Callable[[], None]) -> None:
        """Call these in the running event loop, once, when this process is told to stop."""
        self._acts = acts
        if threading.current_thread() is not threading.main_thread():
            return  # a test's server: whoever started the process hears its signals
        loop = asyncio.get_running_loop()
        _listen_beside(signal.SIGINT, lambda: loop.call_soon_threadsafe(self.begin))
        # The server itself hears SIGINT still: that is how it learns that the draining is over.
        loop.add_signal_handler(signal.SIGTERM, self._drain)

    def begin(self) -> None:
        """Turn everybody away politely from now on."""
        if self.has_begun:
            return
        self.has_begun = True
        for act in self._acts:
            act()

    def is_begun(self) -> bool:
        """Say whether it has begun."""
        return self.has_begun

    def _drain(self) -> None:
        # An init system tells every process of the tree, and our own parent tells us once more.
        if not self.has_begun:
            self.begin()
            loop = asyncio.get_running_loop()
            loop.call_later(self._drain_s, self._end)

    def _end(self) -> None:
        if not _is_socket_kept():
            signal.raise_signal(signal.SIGINT)
            return
        # The server would close connections that it has just taken, their request unread.
        _leave_connections_in_the_queue()
        asyncio.get_running_loop().call_later(_TAKEN_S, signal.raise_signal, signal.SIGINT)


def asking_for_a_new_connection(scope: dict[str, Any], send: Send) -> Send:
    """Return what sends the answer and says that the connection ends with it."""
    if scope["http_version"].startswith("2"):
        return send

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        await send(message)

    return sending


def _is_socket_kept() -> bool:
    return os.environ.get("LISTEN_PID") == str(os.getppid())  # sd_listen_fds(3), our parent's


def has_left_queue() -> bool:
    """Say whether this process leaves new connections to the next one."""
    return _queue_is_left.is_set()


def _leave_connections_in_the_queue() -> None:
    """Let the server's event loop hear no more of its listening socket; it has no switch for it."""
    _queue_is_left.set()
    listening = list(_listening())
    for number in _descriptors("anon_inode:[eventpoll]"):
        with select.epoll.fromfd(os.dup(number)) as loop:
            for descriptor in listening:
                with suppress(OSError):  # this loop never heard of it
                    loop.unregister(descriptor)


def _listening() -> Iterator[int]:
    for number in _descriptors("socket:["):
        with socket.socket(fileno=os.dup(number)) as opened:
            is_listening = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if is_listening and opened.family is not socket.AF_UNIX:
                yield number


def _descriptors(begins_with: str) -> Iterator[int]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if str(link.readlink()).startswith(begins_with):
                yield int(link.name)


def stop_with_parent() -> None:
    """Stop this worker, without draining, as soon as the process that started it is gone."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test's server, as above
    watch = threading.Thread(target=_watch, args=[os.getppid()], name="parent-watch", daemon=True)
    watch.start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_DRAIN_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _listen_beside(number: signal.Signals, act: Callable[[], object]) -> None:
    earlier = signal.getsignal(number)
    if not callable(earlier):
        return

    def act_too(heard: int, frame: FrameType | None) -> None:
        act()
        earlier(heard, frame)

    signal.signal(number, act_too)
