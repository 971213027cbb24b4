"""Connections come to workers in equal parts, whoever of them is woken first."""

import asyncio
import errno
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from torture.processes import kill, workers

from certificates import make_certificate
from http_lines import answers, connected
from meterbook.serving import accepting
from meterbook.serving.accepting import HANDSHAKE_S_MAX, SPREAD, Accepting, Crowd
from servers import COMMAND, Server, running_server

CONNECTIONS = 64
A_FEW = 12  # that a program keeps open
ROUNDS = 2
TRIES = 5
GAP_S = 0.02  # whoever is woken first would get them all
GONE_S = 0.3  # until a worker has told the others who has left it
WAIT_S_MAX = 20
LIVE = b"GET /health/live HTTP/1.1\r\nHost: meterbook\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a server with three workers."""
    with running_server(tmp_path, command=[*COMMAND, "--workers", "3"]) as started:
        yield started


def sockets_of(server: Server) -> list[int]:
    """Return how many sockets each worker has open."""
    counts = []
    for pid in workers(server.process.pid):
        links = Path(f"/proc/{pid}/fd").iterdir()
        counts.append(sum(str(link.readlink()).startswith("socket:") for link in links))
    return counts


@contextmanager
def many_connections(server: Server, *, count: int, gap_s: float) -> Iterator[list[socket.socket]]:
    """Give connections that were opened one after the other, and are all answered."""
    with ExitStack() as opened:
        lines = []
        for _ in range(count):
            lines.append(opened.enter_context(connected(server)))
            time.sleep(gap_s)
        for line in lines:
            line.sendall(LIVE)
        for line in lines:
            [(status, _)] = answers(line.recv(65_536))
            assert status == 200
        yield lines


def shares(server: Server, *, count: int = CONNECTIONS, gap_s: float = GAP_S) -> list[int]:
    """Return how many sockets more each worker has while it has its share of connections."""
    time.sleep(GONE_S)
    before = sockets_of(server)
    with many_connections(server, count=count, gap_s=gap_s):
        return [more - less for more, less in zip(sockets_of(server), before, strict=False)]


def test_three_workers_get_their_shares_and_so_does_the_heir_of_a_dead_one(server: Server) -> None:
    for kills in (1, 0):
        ends = time.monotonic() + WAIT_S_MAX
        while len(got := shares(server)) < 3 or min(got) <= 0:  # until all let people in
            assert time.monotonic() < ends, got
        for _ in range(ROUNDS):
            assert min(shares(server)) > CONNECTIONS / 6
        # A machine that is busy with other work leaves none to a worker now and then.
        assert any(min(shares(server, count=A_FEW, gap_s=0)) > A_FEW / 6 for _ in range(TRIES))
        for pid in workers(server.process.pid)[:kills]:
            kill(pid)


def test_a_worker_that_stands_still_keeps_nobody_out(server: Server) -> None:
    stopped = workers(server.process.pid)[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        for _ in range(4 * SPREAD):
            with connected(server) as line:
                line.sendall(LIVE)
                [(status, _)] = answers(line.recv(65_536))
                assert status == 200
    finally:
        os.kill(stopped, signal.SIGCONT)


@pytest.mark.parametrize("count", [1, 2])
def test_workers_speak_tls_themselves(tmp_path: Path, count: int) -> None:
    certificate, key = make_certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=certificate)
    command = [*COMMAND, "--workers", str(count)]
    command += ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with running_server(tmp_path / "book", command=command, trusted=trusted) as server:
        packet = {"id": 7, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 0.5}
        for _ in range(4):
            with httpx.Client(base_url=server.url, verify=trusted) as client:
                assert client.post("/meter", json=packet).status_code == 201
        with connected(server) as plain:
            plain.sendall(LIVE)
            assert b"HTTP" not in plain.recv(1000)
        with httpx.Client(base_url=server.url, verify=trusted) as client:
            assert client.get("/health/live").status_code == 200


def test_who_has_clearly_more_than_another_that_is_there_leaves_the_next_to_it() -> None:
    crowd = Crowd(3)
    crowd.note(0, SPREAD + 1)
    assert not crowd.has_more(0)  # than nobody
    crowd.note(1, 0)
    assert crowd.has_more(0)
    assert not crowd.has_more(1)
    crowd.note(1, 1)
    assert not crowd.has_more(0)
    for fewer, more in ((1000, 1125), (160, 180)):
        crowd.note(1, fewer)
        crowd.note(0, more)
        assert not crowd.has_more(0)
        crowd.note(0, more + 1)
        assert crowd.has_more(0)
    crowd.leave(1)
    assert not crowd.has_more(0)


class Coming(asyncio.Protocol):
    """Notes who comes in."""

    came: asyncio.Queue[asyncio.Transport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        assert isinstance(transport, asyncio.Transport)
        self.came.put_nowait(transport)


def accepting_on(
    listening: socket.socket, *, most: int = 100, tls: ssl.SSLContext | None = None
) -> Accepting:
    """Listen, and let connections in as one of two workers."""
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    came = Coming.came = asyncio.Queue()
    return Accepting(
        listening, Coming, tls=tls, crowd=Crowd(2), number=0,
        connections=came.qsize, connections_max=most,
    )  # fmt: skip


class _FullOnce(socket.socket):
    """A listening socket for whose first connection there is no room."""

    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Fail once as the system does, then accept."""
        self.tries += 1
        if self.tries == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_room_for_an_open_file_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "FULL_S", 0.01)

    async def main() -> None:
        with _FullOnce() as listening:
            door = accepting_on(listening)
            with socket.create_connection(listening.getsockname()):
                async with asyncio.timeout(WAIT_S_MAX):
                    transport = await Coming.came.get()
                assert listening.tries >= 2
                transport.abort()
            door.close()
            await door.wait_closed()

    asyncio.run(main())


def test_handshakes_count_as_connections_and_a_stop_does_not_wait_for_them(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*make_certificate(tmp_path))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as listening, ExitStack() as opened:
            door = accepting_on(listening, most=3, tls=context)
            address = listening.getsockname()
            lines = [opened.enter_context(socket.create_connection(address)) for _ in range(4)]
            for line in lines:
                line.settimeout(0)
            async with asyncio.timeout(HANDSHAKE_S_MAX / 2):
                # The fourth is one too many; the others say nothing, and are waited for.
                assert await loop.sock_recv(lines[3], 1) == b""
                assert door._count() == 3
                door.close()
                await door.wait_closed()
                assert door._count() == 0

    asyncio.run(main())


def test_who_leaves_the_queue_to_the_next_process_does_not_come_back_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "FULL_S", 0.01)

    async def main() -> None:
        with _FullOnce() as listening:
            # From the first try on.
            monkeypatch.setattr(accepting, "has_left_queue", lambda: listening.tries > 0)
            door = accepting_on(listening)
            with socket.create_connection(listening.getsockname()):
                await asyncio.sleep(0.2)
                assert (listening.tries, Coming.came.qsize()) == (1, 0)
            door.close()
            await door.wait_closed()

    asyncio.run(main())
