"""
Being told to stop: first turned away from, then handed over, then closed.

    SIGTERM ──► draining for `drain_seconds` ──► no new connections, open requests end ──► away

While it drains the server answers everything as always; only `/health/ready` says 503 and every
answer asks for a new connection, so that whoever balances between nodes goes to another one before
this one closes. SIGINT, a person at the keyboard, skips the draining.

A server lets open answers finish before it tells the application that it stops, and a live stream
never finishes. So the signals themselves are listened to, beside the server.

A worker whose server was killed would hear no signal at all: it would keep the port, and with it
the next server from starting. So it watches for that itself.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
_CLOSE = (b"connection", b"close")

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
            loop.call_later(self._drain_s, signal.raise_signal, signal.SIGINT)


def asking_for_a_new_connection(scope: dict[str, Any], send: Send) -> Send:
    """Return what sends the answer and says that the connection ends with it."""
    if scope["http_version"].startswith("2"):
        return send

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        await send(message)

    return sending


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
