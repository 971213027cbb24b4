"""
Being told to stop: what must end by itself before a server can.

A server lets open answers finish before it tells the application that it stops, and a live stream
never finishes. So the signal itself is listened to, beside the server, which hears it all the same.

A worker whose server was killed would hear no signal at all: it would keep the port, and with it
the next server from starting. So it watches for that itself.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

LOOK_EVERY_S = 0.5
ORPHAN_DRAIN_S = 10  # as long as a server gives its worker for requests in flight


def when_told_to_stop(act: Callable[[], None]) -> None:
    """Call it in the running event loop when this process gets SIGTERM or SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test's server: whoever started the process hears its signals
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        _listen_beside(number, lambda: loop.call_soon_threadsafe(act))


def stop_with_parent() -> None:
    """Stop this worker as SIGTERM would as soon as the process that started it is gone."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test's server, as above
    watch = threading.Thread(target=_watch, args=[os.getppid()], name="parent-watch", daemon=True)
    watch.start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
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
