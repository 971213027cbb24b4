"""
Being told to stop: what must end by itself before a server can.

A server lets open answers finish before it tells the application that it stops, and a live stream
never finishes. So the signal itself is listened to, beside the server, which hears it all the same.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType


def when_told_to_stop(act: Callable[[], None]) -> None:
    """Call it in the running event loop when this process gets SIGTERM or SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test's server: whoever started the process hears its signals
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        _listen_beside(number, lambda: loop.call_soon_threadsafe(act))


def _listen_beside(number: signal.Signals, act: Callable[[], object]) -> None:
    earlier = signal.getsignal(number)
    if not callable(earlier):
        return

    def act_too(heard: int, frame: FrameType | None) -> None:
        act()
        earlier(heard, frame)

    signal.signal(number, act_too)
