"""Restarts under load: nobody notices, behind a balancer or on a socket that systemd holds."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from balancer import Balancer, balancing
from meterbook.queries.invariants import CHECKS
from meterbook.storage.database import Database
from packet_stream import PacketStream, stored_packets
from servers import START_S_MAX, Server, running_server

WORKERS = os.environ.get("METERBOOK_TEST_WORKERS", "1")  # more of them take longer to start
SERVE = ("-m", "meterbook", "serve", "--workers", WORKERS)
DRAIN_S = 1
HANDED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
SLOW_LINES = 12
SLOW_METER = 10_000
SLOW_STAMP = "2023-11-14T22:31:00Z"


class Node:
    """One node that can be restarted."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._database_url = database_url
        self._open = ExitStack()
        self.server = self._start()

    def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        assert self.server.stop() == 0

    def start(self) -> str:
        """Start it again and return its address."""
        self._open.close()
        self.server = self._start()
        return self.server.url

    def close(self) -> None:
        """Leave nothing behind."""
        self._open.close()

    def _start(self) -> Server:
        return self._open.enter_context(
            running_server(
                self._folder,
                database_url=self._database_url,
                settings={"drain_seconds": str(DRAIN_S)},
                command=SERVE,
            )
        )


def must_be_whole(database_url: str, stream: PacketStream) -> None:
    """Make sure that what was acknowledged is there, once, and nothing else."""
    database = Database(database_url)
    stored = stored_packets(database)
    packets = [(key, amount) for key, amount in stored if key[0] < SLOW_METER]
    assert len(stream.acknowledged) > 500
    assert dict(packets) == stream.acknowledged
    assert len(packets) == len(stream.acknowledged)
    for check in CHECKS.values():
        with database.reading() as connection:
            assert list(check(connection)) == []
    database.close()


async def slow_lines(first_meter: int) -> AsyncIterator[bytes]:
    """Send a body for longer than a node drains."""
    for meter in range(first_meter, first_meter + SLOW_LINES):
        yield f'{{"id":{meter},"timestamp":"{SLOW_STAMP}","reading_kWh":1}}\n'.encode()
        await asyncio.sleep(2 * DRAIN_S / SLOW_LINES)


async def look_at_pages(balancer: Balancer, *, stop: asyncio.Event) -> None:
    while not stop.is_set():
        assert await balancer.request("GET", "/register") in {0, 200}
        await asyncio.sleep(0.02)


async def restart_each(nodes: list[Node], stream: PacketStream) -> tuple[Balancer, list[int]]:
    """Restart one node after the other under load."""
    stop = asyncio.Event()
    uploaded = []
    async with balancing([node.server.url for node in nodes]) as balancer:

        async def post(packet: dict[str, object]) -> int:
            return await balancer.request("POST", "/meter", json=packet)

        load = [
            asyncio.create_task(stream.run(post, stop=stop, pause_s=0.01 * (1 + turn % 4)))
            for turn in range(8)
        ]
        load.append(asyncio.create_task(look_at_pages(balancer, stop=stop)))
        for turn, node in enumerate(nodes, 1):
            await asyncio.sleep(0.3)
            body = slow_lines(turn * SLOW_METER)
            headers = {"content-type": "application/x-ndjson"}
            url = f"{node.server.url}/readings"
            async with aiohttp.ClientSession() as session:
                upload = asyncio.create_task(session.post(url, data=body, headers=headers))
                await asyncio.sleep(0.2)
                old = node.server.url
                await asyncio.to_thread(node.stop)
                uploaded.append((await upload).status)
            balancer.replace(old, await asyncio.to_thread(node.start))
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.gather(*load)
    return balancer, uploaded


def test_two_nodes_restarted_in_turn_fail_no_request_and_lose_and_double_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    stream = PacketStream()
    nodes = [Node(tmp_path / name, postgres_url) for name in ("a", "b")]
    try:
        balancer, uploaded = asyncio.run(restart_each(nodes, stream))
    finally:
        for node in nodes:
            node.close()
    assert balancer.failed == []
    assert uploaded == [201, 201]
    must_be_whole(postgres_url, stream)


@contextmanager
def serving_on(
    listening: socket.socket, folder: Path, settings: dict[str, str]
) -> Iterator[Server]:
    """Start a server as systemd does one whose socket it holds."""
    log = folder / "server.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", HANDED, str(listening.fileno()), *SERVE],
            pass_fds=[listening.fileno()],
            env={**os.environ, **settings, "METERBOOK_DATA_DIR": str(folder)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, listening.getsockname()[1], log)
    try:
        yield server
    finally:
        server.kill()


async def restart_on_one_socket(
    listening: socket.socket, folder: Path, stream: PacketStream
) -> list[str]:
    """Restart the only node under load and return what failed."""
    stop = asyncio.Event()
    failed: list[str] = []
    settings = {"METERBOOK_DRAIN_SECONDS": str(DRAIN_S)}
    async with aiohttp.ClientSession() as session:
        session._retry_connection = False

        with ExitStack() as open_now:
            server = open_now.enter_context(serving_on(listening, folder, settings))

            async def post(packet: dict[str, object]) -> int:
                try:
                    async with session.post(f"{server.url}/meter", json=packet) as answer:
                        await answer.read()
                        return answer.status
                except (aiohttp.ClientError, OSError) as error:
                    failed.append(f"{type(error).__name__} {error}")
                    return 0

            load = [
                asyncio.create_task(stream.run(post, stop=stop, pause_s=0.005)) for _ in range(8)
            ]
            await stream.until_acknowledged(200)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(DRAIN_S / 2)
            async with session.get(f"{server.url}/health/ready") as answer:
                assert answer.status == 503
                assert "stopping" in (await answer.json())["checks"]
                assert answer.headers["connection"] == "close"
            assert await asyncio.to_thread(server.process.wait, START_S_MAX) == 0
            server = open_now.enter_context(serving_on(listening, folder, settings))
            await stream.until_acknowledged(400)
            stop.set()
            await asyncio.gather(*load)
    return failed


def test_one_node_on_a_socket_that_systemd_holds_is_restarted_and_nobody_is_refused(
    tmp_path: Path,
) -> None:
    stream = PacketStream()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        failed = asyncio.run(restart_on_one_socket(listening, tmp_path, stream))
    assert failed == []
    must_be_whole(f"sqlite:///{tmp_path}/meterbook.sqlite", stream)
