"""The demo's meters at work: a process of its own that ends with the server it posts to."""

import asyncio
import os
import signal

from meterbook.simulate.demo_homes import ZONE, sending_homes
from meterbook.simulate.fleet import post_packets, wait_until_ready
from meterbook.simulate.outcomes import Outcomes
from meterbook.simulate.packets import live_packets

_READY_S_MAX = 120
_CONNECTIONS = 4
_LOOK_EVERY_S = 0.2


def post_live(url: str, since: int, parent: int) -> None:
    """
    Post what the demo's meters send after `since`, until told to stop.

    :param parent: the process that started this one; when it is gone, this one ends too.
    """
    asyncio.run(_post_live(url, since=since, parent=parent))


async def _post_live(url: str, *, since: int, parent: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    work = asyncio.create_task(_post_when_ready(url, since=since, stop=stop))
    # Asked again and again: nobody tells a process that its parent was killed.
    while not (work.done() or stop.is_set() or os.getppid() != parent):  # noqa: ASYNC110 see above
        await asyncio.sleep(_LOOK_EVERY_S)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def _post_when_ready(url: str, *, since: int, stop: asyncio.Event) -> None:
    await wait_until_ready(url, timeout_s=_READY_S_MAX)
    await post_packets(
        live_packets(sending_homes(), since=since, zone=ZONE),
        url=url,
        outcomes=Outcomes(),
        connections=_CONNECTIONS,
        stop=stop,
    )
