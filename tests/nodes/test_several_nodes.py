"""Two nodes of two workers each on one PostgreSQL: whatever one knows, the other knows at once."""

import asyncio
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import aiohttp
import httpx
import psycopg
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from balancer import Balancer, balancing
from callers import PASSWORD, client_of, session_of, signed_in
from meterbook.access import SESSION_COOKIE
from meterbook.registry.accounts import Account, Role
from meterbook.storage.database import Database
from meterbook.storage.tables import job_leases
from packet_stream import PacketStream, must_be_whole
from servers import running_server
from warm_servers import WarmProcess

METER = 77
TWO_WORKERS = ("-m", "meterbook", "serve", "--workers", "2")
WAIT_S = 60
NEVER = str(365 * 24 * 60)  # whatever a slow run takes, no day of the stream is closed
DRAIN_S = 3  # a client that is held up for longer on a busy machine meets a closed connection
SLOW_METER = 10_000_000
SLOW_LINES = 12
SLOW_STAMP = "2023-11-14T22:31:00Z"


class Node:
    """One node that can be started again."""

    def __init__(self, folder: Path, database_url: str, settings: dict[str, str]) -> None:
        self._folder, self._database_url, self._settings = folder, database_url, settings
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self._open.close()
        self._server = self._open.enter_context(
            running_server(
                self._folder,
                database_url=self._database_url,
                settings=self._settings,
                command=TWO_WORKERS,
            )
        )

    @property
    def url(self) -> str:
        """Its address now."""
        return self._server.url

    @property
    def process(self) -> subprocess.Popen[bytes] | WarmProcess:
        """Its first process."""
        return self._server.process

    def close(self) -> None:
        """Leave nothing behind."""
        self._open.close()


class Nodes:
    """Two nodes, and the book they share."""

    def __init__(self, a: Node, b: Node, book: Database) -> None:
        self.a, self.b, self.book = a, b, book
        self.operator, self.token = signed_in(book, "operator", role=Role.OPERATOR)

    def holders(self) -> dict[str, int]:
        """Return each job that somebody has the lease of, with the process."""
        with self.book.reading() as connection:
            rows = connection.execute(sa.select(job_leases.c.job, job_leases.c.holder))
            return {row.job: int(row.holder.split("-")[0]) for row in rows}

    def has(self, node: Node, job: str) -> bool:
        """Say whether a process of that node has the lease of the job."""
        pid = self.holders().get(job)
        with suppress(ProcessLookupError):
            return pid is not None and os.getpgid(pid) == node.process.pid
        return False


@pytest.fixture(scope="module")
def nodes(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Give two nodes that were started at once on a database without a table."""
    with psycopg.connect(f"host={postgres_server} user=postgres", autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS nodes WITH (FORCE)")
        server.execute("CREATE DATABASE nodes")
    url = f"postgresql+psycopg://postgres@/nodes?host={postgres_server}"
    settings = {
        "secret_key": Fernet.generate_key().decode(),
        "drain_seconds": str(DRAIN_S),
        "close_delay_minutes": NEVER,
    }
    folder = tmp_path_factory.mktemp("nodes")
    with ExitStack() as opened:

        def start(name: str) -> Node:
            node = Node(folder / name, url, settings)
            opened.callback(node.close)
            return node

        with ThreadPoolExecutor(2) as both:
            a, b = both.map(start, ("a", "b"))
        book = Database(url)
        opened.callback(book.close)
        yield Nodes(a, b, book)


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def household(nodes: Nodes, name: str) -> tuple[Account, str]:
    return signed_in(nodes.book, name)


def post_packet(node: Node, energy_kwh: float) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))
    packet = {"id": METER, "timestamp": stamp, "reading_kWh": energy_kwh}
    assert httpx.post(f"{node.url}/meter", json=packet).status_code == 201


def test_a_token_of_one_node_is_good_on_the_other_until_it_ends_anywhere(nodes: Nodes) -> None:
    household(nodes, "anna")
    with client_of(nodes.a.url) as one:
        answer = one.post("/auth/login", json={"username": "anna", "password": PASSWORD})
    token = answer.json()["token"]
    for _ in range(4):  # either worker
        with client_of(nodes.b.url, token) as other:
            assert other.get("/auth/info").status_code == 200
    with client_of(nodes.a.url, token) as one:
        assert one.post("/auth/logout").status_code == 204
    for _ in range(4):
        with client_of(nodes.b.url, token) as other:
            assert other.get("/auth/info").status_code == 401


def test_a_form_of_one_node_is_taken_by_the_other_and_signing_out_ends_the_session_on_both(
    nodes: Nodes,
) -> None:
    household(nodes, "bert")
    with httpx.Client(follow_redirects=False) as browser:
        form = browser.get(f"{nodes.a.url}/sign-in").text
        [written] = re.findall(r'name="_csrf_token" value="([^"]+)"', form)[:1]
        entered = {"username": "bert", "password": PASSWORD, "_csrf_token": written}
        assert browser.post(f"{nodes.b.url}/sign-in", data=entered).status_code == 303
        session = browser.cookies[SESSION_COOKIE]
        assert browser.get(f"{nodes.a.url}/account").status_code == 200
        signed_out = browser.post(f"{nodes.a.url}/sign-out", data={"_csrf_token": written})
        assert signed_out.status_code == 303
    with httpx.Client(cookies={SESSION_COOKIE: session}) as browser:
        asked = {"Accept": "application/json"}
        assert browser.get(f"{nodes.b.url}/account", headers=asked).status_code in {303, 401}


def test_wrong_passwords_are_counted_by_all_nodes_together(nodes: Nodes) -> None:
    household(nodes, "carl")
    statuses = []
    for turn in range(12):
        node = (nodes.a, nodes.b)[turn % 2]
        wrong = {"username": "carl", "password": f"wrong-{turn}"}
        statuses.append(httpx.post(f"{node.url}/auth/login", json=wrong).status_code)
    assert statuses[:5] == [401] * 5
    assert 429 in statuses[5:10]


def test_an_open_page_of_one_node_moves_when_the_other_stores_a_packet(nodes: Nodes) -> None:
    post_packet(nodes.a, 0.5)
    heard: list[str] = []
    is_open = threading.Event()

    def listen() -> None:
        with (
            httpx.Client(cookies={SESSION_COOKIE: session_of(nodes.book, nodes.operator)}) as page,
            page.stream("GET", f"{nodes.a.url}/profile/{METER}/live", timeout=60) as answer,
        ):
            for line in answer.iter_lines():
                is_open.set()
                heard.append(line)
                if '"kWh":1.75' in line:
                    return

    page = threading.Thread(target=listen, daemon=True)
    page.start()
    assert is_open.wait(WAIT_S)
    post_packet(nodes.b, 1.75)
    page.join(WAIT_S)
    assert any('"kWh":1.75' in line for line in heard)


def test_any_worker_tells_the_metrics_of_all_of_its_node(nodes: Nodes) -> None:
    def counted() -> dict[str, float]:
        text = httpx.get(f"{nodes.a.url}/metrics").text
        return {
            found[1]: float(found[2])
            for found in re.finditer(
                r'meterbook_packets_total\{outcome="repeated",worker="(\d)"\} (\S+)', text
            )
        }

    post_packet(nodes.a, 3.5)
    before = counted()
    assert before.keys() == {"1", "2"}
    for _ in range(10):
        post_packet(nodes.a, 3.5)
    for _ in range(4):
        assert sum(counted().values()) == sum(before.values()) + 10


async def slow_lines(first_meter: int) -> AsyncIterator[bytes]:
    """Send a body for longer than a node drains."""
    for meter in range(first_meter, first_meter + SLOW_LINES):
        yield f'{{"id":{meter},"timestamp":"{SLOW_STAMP}","reading_kWh":1}}\n'.encode()
        await asyncio.sleep(1.5 * DRAIN_S / SLOW_LINES)


async def stop_while_it_works(nodes: Nodes, stopping: Node, other: Node) -> None:
    """Stop a node in the middle of an upload, and see what it does of its own."""
    headers = {"content-type": "application/x-ndjson"}
    body = slow_lines(SLOW_METER + stopping.process.pid)
    async with aiohttp.ClientSession() as session:
        upload = asyncio.create_task(
            session.post(f"{stopping.url}/readings", data=body, headers=headers)
        )
        await asyncio.sleep(0.2)
        stopping.process.terminate()

        def hands_over() -> None:
            wait_until(lambda: not any(nodes.has(stopping, job) for job in nodes.holders()))
            assert httpx.get(f"{stopping.url}/health/ready").status_code == 503
            post_packet(stopping, 2.25)
            wait_until(lambda: nodes.has(other, "collect"))
            assert stopping.process.wait(WAIT_S) == 0

        await asyncio.to_thread(hands_over)
        async with await upload as answer:
            assert answer.status == 201


async def restart_each(nodes: Nodes, stream: PacketStream) -> Balancer:
    """Restart the node that polls, then stop the other one, under load."""
    stop = asyncio.Event()
    first, second = nodes.a, nodes.b
    if nodes.has(second, "collect"):
        first, second = second, first
    async with balancing([first.url, second.url]) as balancer:

        async def post(packet: dict[str, object]) -> int:
            return await balancer.request("POST", "/meter", json=packet)

        async def look() -> None:
            while not stop.is_set():
                assert await balancer.request("GET", "/register") in {0, 200}
                await asyncio.sleep(0.05)

        load = [
            asyncio.create_task(stream.run(post, stop=stop, pause_s=0.01 * (1 + turn % 4)))
            for turn in range(8)
        ]
        load.append(asyncio.create_task(look()))
        await stream.until_acknowledged(100)
        old = first.url
        await stop_while_it_works(nodes, first, second)
        await asyncio.to_thread(first.start)
        balancer.replace(old, first.url)
        await balancer.until_ready(first.url)
        await stop_while_it_works(nodes, second, first)
        await stream.until_acknowledged(100)
        stop.set()
        await asyncio.gather(*load)
    return balancer


def test_nodes_restarted_in_turn_hand_over_fail_no_request_and_lose_and_double_nothing(
    nodes: Nodes,
) -> None:
    wait_until(lambda: {"collect", "regions"} <= nodes.holders().keys())
    stream = PacketStream()
    balancer = asyncio.run(restart_each(nodes, stream))
    assert balancer.failed == []
    must_be_whole(nodes.book, stream)


def test_a_killed_worker_is_replaced_where_it_polled(nodes: Nodes) -> None:
    killed = nodes.holders()["collect"]
    os.kill(killed, signal.SIGKILL)
    with nodes.book.writing() as connection:  # as if the seconds had passed that a shift lasts
        connection.execute(sa.update(job_leases).values(expires_at=0))
    wait_until(lambda: nodes.holders()["collect"] != killed)
