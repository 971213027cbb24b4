"""A body that does not get on is given up; one that gets on may take as long as it is large."""

import asyncio
from typing import Any

import pytest

from meterbook.intake import bodies
from meterbook.intake.bodies import PatientReceive, SlowBodyError, read_body


async def dripping(parts: list[bytes], pause_s: float) -> bytes:
    """Read a body that comes in these parts with a pause before each."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return await read_body({}, receive, bytes_max=1_000_000)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.05)
    monkeypatch.setattr(bodies, "BYTES_PER_S_MIN", 1_000)


def test_a_body_that_never_comes_is_given_up() -> None:
    with pytest.raises(SlowBodyError):
        asyncio.run(dripping([b""], 60))


def test_a_body_of_a_byte_at_a_time_is_given_up() -> None:
    with pytest.raises(SlowBodyError):
        asyncio.run(dripping([b"x"] * 100_000, 0.001))


def test_a_large_body_that_gets_on_is_read_to_its_end() -> None:
    parts = [b"x" * 1_000] * 5  # each earns a second
    assert asyncio.run(dripping(parts, 0.04)) == b"".join(parts)


def test_after_its_body_a_request_may_be_waited_for_without_end() -> None:
    async def work() -> object:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        patient = PatientReceive(receive)
        await patient()

        async def disconnect() -> dict[str, Any]:
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}

        patient._receive = disconnect
        return await patient()

    assert asyncio.run(work()) == {"type": "http.disconnect"}
