"""
What a supervisor is told: systemd, that this process is ready, that it is alive, that it stops.

The words go to the socket that NOTIFY_SOCKET names (sd_notify(3)); without one nobody is told. What
says that it is alive is the event loop itself: one that hangs falls silent, and is started anew.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

BEATS_PER_WATCHDOG = 3  # one may be late without costing the process its life


@asynccontextmanager
async def supervised(environment: Mapping[str, str] = os.environ) -> AsyncIterator[None]:
    """Tell that the process is ready, then often that it is alive, at last that it stops."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        yield
        return
    _tell(address, "READY=1")
    beating = asyncio.create_task(_beat(address, environment.get("WATCHDOG_USEC", "")))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        _tell(address, "STOPPING=1")


async def _beat(address: str, watchdog_us: str) -> None:
    if not watchdog_us.isdecimal() or not int(watchdog_us):
        return
    while True:
        _tell(address, "WATCHDOG=1")
        await asyncio.sleep(int(watchdog_us) / 1_000_000 / BEATS_PER_WATCHDOG)


def _tell(address: str, words: str) -> None:
    # A name that begins with @ is not a file: Linux's abstract namespace.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(words.encode(), name)
