"""
Who polls: of many processes the one that has the shift.

Another takes over at once when it ends, and when the shift runs out if it dies.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from meterbook.intake.modbus.collector import Collector

ASK_EVERY_S = 3.0
SHIFT_S = 12  # a shift not renewed for so long is anybody's
_log = structlog.get_logger()


async def collect_in_shifts(
    collector: Collector,
    *,
    is_ours: Callable[[], bool],
    give_up: Callable[[], None],
    ask_every_s: float = ASK_EVERY_S,
) -> None:
    """
    Run the collector while the shift is ours, until cancelled.

    :param is_ours: takes or renews the shift; False if another process has it. Runs in a thread.
    :param give_up: ends the shift. Runs in a thread.
    """
    polling: asyncio.Task[None] | None = None
    try:
        while True:
            try:
                ours = await asyncio.to_thread(is_ours)
            except Exception:  # noqa: BLE001 while the database is away nobody can take the shift
                ours = polling is not None
            if ours and (polling is None or polling.done()):
                _log.info("collector starts")
                polling = asyncio.create_task(collector.run())
            elif not ours and polling is not None:
                _log.info("collector stops: another process polls")
                await _end(polling)
                polling = None
            await asyncio.sleep(ask_every_s)
    finally:
        if polling is not None:
            await _end(polling)
            with suppress(Exception):
                await asyncio.to_thread(give_up)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
