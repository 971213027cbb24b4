"""What systemd hears of the server: ready, alive, stopping."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from meterbook.supervision import supervised


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """Give the socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        yield listener


def test_ready_then_alive_then_stopping(heard: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}

    async def run() -> list[bytes]:
        async with supervised(environment):
            return [await asyncio.to_thread(heard.recv, 64) for _ in range(3)]

    assert asyncio.run(run()) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    while (word := heard.recv(64)) == b"WATCHDOG=1":
        pass
    assert word == b"STOPPING=1"


def test_without_a_watchdog_nothing_beats(heard: socket.socket, tmp_path: Path) -> None:
    async def run() -> None:
        async with supervised({"NOTIFY_SOCKET": str(tmp_path / "notify")}):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [heard.recv(64), heard.recv(64)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens"])
def test_a_supervisor_that_is_not_there_is_no_failure(address: str) -> None:
    async def run() -> str:
        async with supervised({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}):
            await asyncio.sleep(0)
            return "served"

    assert asyncio.run(run()) == "served"
