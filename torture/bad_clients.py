"""
Clients that are slow, silent, half-open or out to exhaust: meters go on being served beside them.

Silent connections, heads and bodies a byte at a time, answers nobody reads, bodies far too large,
JSON nested a hundred thousand deep, and a gigabyte packed into a megabyte. Each is refused or let
go of; meanwhile packets are stored, and afterwards the server holds no more than before.
"""

import asyncio
import gzip
import io
import itertools
import resource
import socket
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress

import zstandard

from callers import signed_in
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from servers import Server
from torture.new_books import Book, new_book
from torture.outcomes import Outcome
from torture.processes import settled, taken
from torture.warm_servers import SERVE, warm_server

IDLE = 10_000
SLOW = 500
BESIDE = 200  # packets that must be stored meanwhile
NESTED = 100_000
OVERSIZED_BYTES = 300 << 20
BOMB_BYTES = 1 << 30
ANSWER_S_MAX = 60
LET_GO_S_MAX = 120  # 75 s of silence and some for a machine that is busy with it
REFUSALS = {400, 401, 403, 404, 405, 408, 413, 415, 422}
DOORS = (
    "/meter",
    "/readings",
    "/auth/login",
    "/auth/register",
    "/input/post",
    "/imports",
    "/write",
)
HEAD = b"POST /meter HTTP/1.1\r\nHost: meterbook\r\nContent-Type: application/json\r\n"
ASKED = b"GET /schema/openapi.json HTTP/1.1\r\nHost: meterbook\r\n\r\n"


class Crowd:
    """Many connections to one server, and what it does with them."""

    def __init__(self, server: Server, *, count: int, first: bytes = b"") -> None:
        """Connect so many times, and send the first bytes over each."""
        _allow_files()
        place = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        self.connections: list[socket.socket] = []
        for _ in range(count):
            connection = socket.create_connection(place, timeout=ANSWER_S_MAX)
            connection.sendall(first)
            connection.settimeout(0)
            self.connections.append(connection)

    def drip(self) -> None:
        """Send one more byte over each that still stands."""
        for connection in self.connections:
            with suppress(OSError):
                connection.send(b"x")

    def standing(self) -> int:
        """Return how many the server has not closed; what it sent is read."""
        return sum(map(self._stands, self.connections))

    def close(self) -> None:
        """Hang up."""
        for connection in self.connections:
            connection.close()

    @staticmethod
    def _stands(connection: socket.socket) -> bool:
        try:
            while connection.recv(65_536):
                pass
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def crowds(
    book: Book, *, idle: int = IDLE, slow: int = SLOW, program: str = SERVE
) -> Iterator[Outcome]:
    """Let crowds of each kind hold on to one server, one kind after the other."""
    ways: dict[str, tuple[int, bytes, bool]] = {
        f"{idle:,} silent connections": (idle, b"", False),
        f"{slow:,} heads a byte at a time": (slow, HEAD, True),
        f"{slow:,} bodies a byte at a time": (slow, HEAD + b"Content-Length: 9999\r\n\r\n", True),
        f"{slow:,} bodies that never come": (slow, HEAD + b"Content-Length: 9999\r\n\r\n", False),
    }
    with warm_server(book.folder, database_url=book.url, program=program) as server:
        _post_beside(book, server)
        for what, (count, first, drips) in ways.items():
            before = taken(server.process.pid)
            crowd = Crowd(server, count=count, first=first)
            if not _post_beside(book, server):
                book.findings.append(f"{what}: no packet was stored beside them")
            _wait_until_let_go(book, crowd, what, drips=drips)
            crowd.close()
            lived = before, settled(server.process.pid, before)
            yield book.outcome(what, cycles=count, lived=lived)
            book.findings.clear()
        before = taken(server.process.pid)
        crowd = Crowd(server, count=slow, first=ASKED * 20)
        _post_beside(book, server)
        crowd.close()
        lived = before, settled(server.process.pid, before)
        yield book.outcome(f"{slow:,} clients that read no answer", cycles=slow, lived=lived)


def bad_bodies(book: Book) -> Outcome:
    """Send every door what it must refuse, as a stranger and as an operator."""
    database = Database(book.url)
    _, token = signed_in(database, "operator", role=Role.OPERATOR)
    database.close()
    senders = {"a stranger": {}, "an operator": {"Authorization": f"Token {token}"}}
    sent = 0
    with warm_server(book.folder, database_url=book.url) as server:
        _post_beside(book, server)
        before = taken(server.process.pid)
        for name, make in BODIES.items():
            body, headers = make()
            for (who, shown), door in itertools.product(senders.items(), DOORS):
                status = _status(server, door, body, headers | shown)
                sent += 1
                if status not in REFUSALS:
                    book.findings.append(f"{name} of {who} at {door} was answered {status}")
        _post_beside(book, server)
        lived = before, settled(server.process.pid, before)
    return book.outcome("oversized, nested and packed bodies", cycles=sent, lived=lived)


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:  # noqa: ARG001 every family's form
    """Let in every kind of bad client once; their number is fixed, not that of the cycles."""
    with new_book("sqlite") as book:
        yield from crowds(book)
    with new_book("sqlite") as book:
        yield bad_bodies(book)


def _nested() -> tuple[bytes, dict[str, str]]:
    return b'{"a":' * NESTED + b"1" + b"}" * NESTED, {"Content-Type": "application/json"}


def _nested_list() -> tuple[bytes, dict[str, str]]:
    return b"[" * NESTED + b"]" * NESTED, {"Content-Type": "application/json"}


def _oversized() -> tuple[bytes, dict[str, str]]:
    return b'{"id":"' + b"1" * OVERSIZED_BYTES + b'"}', {"Content-Type": "application/json"}


def _gzip_bomb() -> tuple[bytes, dict[str, str]]:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as out:
        for _ in range(BOMB_BYTES >> 20):
            out.write(bytes(1 << 20))
    return packed.getvalue(), {"Content-Encoding": "gzip", "Content-Type": "application/json"}


def _zstd_bomb() -> tuple[bytes, dict[str, str]]:
    packer = zstandard.ZstdCompressor().compressobj()
    parts = [packer.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)]
    body = b"".join([*parts, packer.flush()])
    return body, {"Content-Encoding": "zstd", "Content-Type": "application/json"}


def _zip_bomb() -> tuple[bytes, dict[str, str]]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out, out.open("a.csv", "w") as file:
        for _ in range(BOMB_BYTES >> 20):
            file.write(bytes(1 << 20))
    return packed.getvalue(), {"Content-Type": "application/zip"}


BODIES: dict[str, Callable[[], tuple[bytes, dict[str, str]]]] = {
    "nested objects": _nested,
    "nested lists": _nested_list,
    "an oversized text": _oversized,
    "a gzip bomb": _gzip_bomb,
    "a zstd bomb": _zstd_bomb,
    "a zip bomb": _zip_bomb,
}


def _status(server: Server, door: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(server.url + door, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:
            # emoncms says no with 200, and its clients look into the answer.
            return 400 if b'"success":false' in answer.read(100) else int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError as error:
        # Refused before it was sent whole: the connection was closed under the sender.
        return 413 if isinstance(error.reason, ConnectionError) else 0


def _post_beside(book: Book, server: Server) -> int:
    known = len(book.sender.promises.acknowledged)
    asyncio.run(book.sender.load_until(server.url, acknowledged=BESIDE))
    return len(book.sender.promises.acknowledged) - known


def _wait_until_let_go(book: Book, crowd: Crowd, what: str, *, drips: bool) -> None:
    end = time.monotonic() + LET_GO_S_MAX
    while standing := crowd.standing():
        if time.monotonic() > end:
            book.findings.append(f"{what}: {standing} of them are still held")
            return
        if drips:
            crowd.drip()
        time.sleep(1)


def _allow_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
