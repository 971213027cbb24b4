"""A body that does not get on is given up; one that gets on may take as long as it is large."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from meterbook.intake.bodies import (
    BYTES_PER_S_MIN,
    PATIENCE_S,
    PatientReceive,
    SlowBodyError,
    read_body,
)


async def dripping(parts: list[bytes], pause_s: float) -> bytes:
    """Read a body that comes in these parts with a pause before each."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return await read_body({}, receive, bytes_max=10_000_000)


class JumpingLoop(asyncio.SelectorEventLoop):
    """Waits for nothing: its clock jumps to what is due next."""

    _now_s = 1_000.0

    def time(self) -> float:
        """Return the clock."""
        return self._now_s

    def _run_once(self) -> None:
        due = [one.when() for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        if due and not self._ready:  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, min(due))
        super()._run_once()  # type: ignore[misc]


def done(work: Coroutine[Any, Any, Any]) -> object:
    """Run the work on a clock that jumps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)


def test_a_body_that_never_comes_is_given_up() -> None:
    with pytest.raises(SlowBodyError):
        done(dripping([b""], PATIENCE_S + 1))


def test_a_body_of_a_byte_at_a_time_is_given_up() -> None:
    with pytest.raises(SlowBodyError):
        done(dripping([b"x"] * 100, 1))


def test_a_large_body_that_gets_on_is_read_to_its_end() -> None:
    parts = [b"x" * BYTES_PER_S_MIN] * 100  # each earns a second
    assert done(dripping(parts, 1)) == b"".join(parts)


def test_after_its_body_a_request_may_be_waited_for_without_end() -> None:
    async def work() -> object:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        patient = PatientReceive(receive)
        await patient()

        async def disconnect() -> dict[str, Any]:
            await asyncio.sleep(86_400)
            return {"type": "http.disconnect"}

        patient._receive = disconnect
        return await patient()

    assert done(work()) == {"type": "http.disconnect"}
