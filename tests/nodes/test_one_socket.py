"""A single node restarted under load, on a socket that systemd holds: nobody notices."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from meterbook.storage.database import Database
from packet_stream import PacketStream, must_be_whole
from servers import START_S_MAX, Server

SERVE = ("-m", "meterbook", "serve", "--workers", "1")
DRAIN_S = 1
HANDED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


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
    settings = {
        "METERBOOK_DRAIN_SECONDS": str(DRAIN_S),
        "METERBOOK_CLOSE_DELAY_MINUTES": str(365 * 24 * 60),  # the stream's days stay open
    }
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
    book = Database(f"sqlite:///{tmp_path}/meterbook.sqlite")
    must_be_whole(book, stream)
    book.close()
