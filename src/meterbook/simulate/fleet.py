"""
A fleet at work: posts packets to `POST /meter` until they end, the time is up or it is told to.

Each connection takes the next packet, waits until it is due, and sends it until the server
acknowledges or refuses it: a server that is away, or busy (503, 429), loses no packet. The fleet
talks to the URL it was given and to nothing else; it does not follow redirects.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import aiohttp

from meterbook.simulate.outcomes import Outcomes
from meterbook.simulate.packets import DuePacket

TIMEOUT_S = 30  # of one request; a commit takes milliseconds, a starting server seconds
_AGAIN_AFTER_S = 0.2  # doubled at each try
_AGAIN_AFTER_S_MAX = 10.0
_BUSY = frozenset({429, 503})
_SERVER_ERROR = 500
_SUCCESSES = range(200, 300)
_TICK_S = 0.2
_HEADERS = {"Content-Type": "application/json"}


class ServerAwayError(RuntimeError):
    """Nothing answered at the URL."""


async def wait_until_ready(url: str, *, timeout_s: float) -> None:
    """
    Return as soon as the server at the URL says that it is ready.

    :raises ServerAwayError: if it has not by then, or the URL is none.
    """
    ends_at = time.monotonic() + timeout_s
    reason = "no answer"
    async with _session(1) as session:
        while True:
            try:
                async with session.get(f"{url}/health/ready", allow_redirects=False) as answer:
                    if answer.status in _SUCCESSES:
                        return
                    reason = f"status {answer.status} at /health/ready"
            except aiohttp.InvalidURL:
                raise ServerAwayError(
                    f"{url} is no address of a server, as in http://host:8000"
                ) from None
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if time.monotonic() >= ends_at:
                raise ServerAwayError(f"{url} is not ready: {reason}")
            await asyncio.sleep(_AGAIN_AFTER_S)


async def post_packets(
    packets: Iterator[DuePacket],
    *,
    url: str,
    outcomes: Outcomes,
    connections: int,
    stop: asyncio.Event,
    duration_s: float | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> None:
    """
    Post the packets, each when it is due, over that many connections.

    :param outcomes: counts what became of them, also while this runs.
    :param stop: ends it early; packets in flight then stay unacknowledged.
    :param on_tick: called several times a second.
    """
    loop = asyncio.get_running_loop()
    ends_at = None if duration_s is None else loop.time() + duration_s
    async with _session(connections) as session:
        workers = {
            asyncio.create_task(_work(session, url, packets, outcomes)) for _ in range(connections)
        }
        stopped = asyncio.create_task(stop.wait())
        try:
            pending = set(workers)
            while pending and not stop.is_set() and (ends_at is None or loop.time() < ends_at):
                done, _ = await asyncio.wait(
                    pending | {stopped}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for worker in done - {stopped}:
                    worker.result()
                pending -= done
                on_tick()
        finally:
            for task in (*workers, stopped):
                task.cancel()
            await asyncio.gather(*workers, stopped, return_exceptions=True)


async def _work(
    session: aiohttp.ClientSession, url: str, packets: Iterator[DuePacket], outcomes: Outcomes
) -> None:
    for packet in packets:
        while (wait_s := packet.due_at - time.time()) > 0:  # noqa: ASYNC110 waits for the clock
            # In steps: a laptop that slept must not sleep on when it wakes.
            await asyncio.sleep(min(wait_s, 60))
        outcomes.behind_s = max(outcomes.behind_s, -wait_s)
        outcomes.in_flight += 1
        await _deliver(session, url, packet.body, outcomes)
        outcomes.in_flight -= 1


async def _deliver(
    session: aiohttp.ClientSession, url: str, body: bytes, outcomes: Outcomes
) -> None:
    again_after_s = _AGAIN_AFTER_S
    while True:
        begun = time.perf_counter()
        wait_s = again_after_s
        try:
            async with session.post(
                f"{url}/meter", data=body, headers=_HEADERS, allow_redirects=False
            ) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            outcomes.put_off[type(error).__name__] += 1
        else:
            if answer.status in _SUCCESSES:
                outcomes.acknowledge(time.perf_counter() - begun)
                return
            if answer.status not in _BUSY and answer.status < _SERVER_ERROR:
                outcomes.refused[answer.status] += 1
                return
            outcomes.put_off[str(answer.status)] += 1
            with suppress(KeyError, ValueError):
                wait_s = float(answer.headers["Retry-After"])
        await asyncio.sleep(max(wait_s, 0))
        again_after_s = min(again_after_s * 2, _AGAIN_AFTER_S_MAX)


def _session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        trust_env=False,
    )
