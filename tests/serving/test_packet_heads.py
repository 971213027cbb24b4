"""Known heads: what a connection answers does not depend on whether it has seen the head before."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from meterbook.problems import Answer
from meterbook.serving import connections
from meterbook.serving.connections import Connection
from meterbook.serving.packet_heads import HEADS_MAX, Head, PacketHeads

Taken = tuple[tuple[str, int] | None, tuple[tuple[bytes, bytes], ...], bytes]


class Lane:
    """Takes packets, and answers them when it is told to."""

    body_bytes_max = 16_384
    body_s_max = 30.0

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.unanswered: list[Callable[[Answer], None]] = []

    def is_closing(self) -> bool:
        """Never."""
        return False

    def sender_of(self, scope: dict[str, Any], headers: dict[bytes, bytes]) -> dict[str, Any]:
        """Return what says who sends."""
        assert headers == dict(scope["headers"])
        return scope

    def take(self, sender: dict[str, Any], body: bytes, answer: Callable[[Answer], None]) -> None:
        """Remember the packet."""
        self.taken.append((sender["client"], (*sender["headers"],), body))
        self.unanswered.append(answer)

    def answer_one(self) -> None:
        """Answer the packet that has waited longest, with its own body."""
        if self.unanswered:
            number = len(self.taken) - len(self.unanswered)
            self.unanswered.pop(0)(Answer(201, ((b"x", b"y"),), self.taken[number][2]))


class Wire(asyncio.Transport):
    """Remembers what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 4711)})
        self.written = b""
        self.is_closed = False

    def write(self, content: Any) -> None:
        """Remember it."""
        self.written += content

    def is_closing(self) -> bool:
        """Say whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Close."""
        self.is_closed = True

    def abort(self) -> None:
        """Close."""
        self.is_closed = True


class Application:
    """Knows nothing but packets."""

    def __init__(self, lane: Lane) -> None:
        self.packet_lane = lane

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Answer what is no packet."""
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def asked(*, length: int, path: str = "/meter", more: str = "", end: str = "\r\n") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: m", f"Content-Length: {length}", *more.splitlines()]
    return (end.join(head) + end * 2).encode() + b"7" * length


REQUESTS = [
    *(asked(length=length) for length in (0, 1, 30)),
    asked(length=30, more="X-Forwarded-For: 203.0.113.9"),
    asked(length=30, more="Authorization: Bearer key-of-a-meter"),
    asked(length=30, path="/meter?x"),
    asked(length=30, path="/elsewhere"),
    asked(length=4, end="\n"),
    b"POST /meter HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n",
    b"\r\n" + asked(length=1),
    asked(length=4)[:-4] + b"\r\n\r\n",
    b"GET /meter HTTP/1.1\r\n\r\n",
    b"POST /meter HTTP/1.1\r\nX: " + asked(length=1),
    # A packet whose body is a packet.
    asked(length=len(asked(length=1)))[: -len(asked(length=1))] + asked(length=1),
]
ENDS = [asked(length=1, more="Connection: close"), b"nonsense\r\n\r\n", b""]
Step = int | None
"""So many bytes come; None: one packet is answered."""


@contextmanager
def heads(known: PacketHeads) -> Iterator[None]:
    with patch.object(connections, "HEADS", known):
        yield


def connected(lane: Lane, wire: Wire) -> Connection:
    config = uvicorn.Config(
        Application(lane), interface="asgi3", http=Connection, log_config=None, proxy_headers=False
    )
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(wire)
    return connection


async def talk(stream: bytes, steps: Sequence[Step]) -> tuple[list[Taken], bytes, bool]:
    """Return what the lane was given, what was answered, and whether the connection ended."""
    lane, wire = Lane(), Wire()
    connection = connected(lane, wire)
    for step in [*steps, len(stream), *[None] * len(stream)]:
        if step is None:
            lane.answer_one()
        elif stream and not wire.is_closing():
            connection.data_received(stream[:step])
            stream = stream[step:]
        for _ in range(3):
            await asyncio.sleep(0)
        if not stream and not lane.unanswered and step is None:
            break
    connection.connection_lost(None)
    return lane.taken, wire.written, wire.is_closed


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Step]]:
    """Draw requests, and how they come: whole or cut, answered before the next or not."""
    stream, steps = b"", list[Step]()
    for request in draw(st.lists(st.sampled_from(REQUESTS), max_size=6)):
        stream += request
        ways = [len(request), request.find(b"\r\n\r\n") + 4, 1, len(request) + 40]
        if b"POST" in request[1:]:
            ways = [request.rfind(b"POST"), *ways]
        cut = draw(st.sampled_from(ways))
        steps += [cut, len(request) - cut] if 0 < cut < len(request) else [cut]
        steps += draw(st.sampled_from([[None], [None], [], [None, None]]))
    return stream + draw(st.sampled_from(ENDS)), steps


@given(conversations())
def test_answers_do_not_depend_on_what_was_read_before(
    conversation: tuple[bytes, list[Step]],
) -> None:
    stream, steps = conversation
    with heads(PacketHeads()):
        for request in REQUESTS:
            asyncio.run(talk(request, [len(request)]))
        assert connections.HEADS.find(REQUESTS[0]) is not None
        with_known = asyncio.run(talk(stream, steps))
    nothing = PacketHeads()
    with heads(nothing), patch.object(nothing, "learn"):
        assert asyncio.run(talk(stream, steps)) == with_known


@pytest.mark.parametrize("is_known", [False, True])
def test_packets_of_who_reads_no_answers_are_left_to_the_way_that_waits(is_known: bool) -> None:
    async def scenario() -> None:
        lane, wire = Lane(), Wire()
        connection = connected(lane, wire)
        if is_known:
            connection.data_received(REQUESTS[0])
            lane.answer_one()
            lane.taken.clear()
        connection.pause_writing()
        connection.data_received(REQUESTS[0])
        await asyncio.sleep(0)
        assert lane.taken == []
        assert b"404" not in wire.written
        connection.resume_writing()
        for _ in range(5):
            await asyncio.sleep(0)
        assert b"404" in wire.written

    with heads(PacketHeads()):
        asyncio.run(scenario())


def head_of(length: int, *, keep_alive: bool = True, name: bytes = b"host") -> Head:
    return Head({name: b"m"}, [(name, b"m")], length, keep_alive)


def test_a_whole_packet_with_a_known_head_is_found() -> None:
    known, request = PacketHeads(), asked(length=4)
    known.learn(head_of(4), request)
    other = request[:-4] + b"8888"
    assert known.find(other) == (head_of(4), b"8888")
    for piece in (b"", request[:-1], request + b"7", request[1:], asked(length=5)):
        assert known.find(piece) is None


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (head_of(4, keep_alive=False), asked(length=4)),
        (head_of(4, name=b"authorization"), asked(length=4)),
        (head_of(4), asked(length=4) + asked(length=4)),
        (head_of(4), b"X" * 1024 + asked(length=4)),
    ],
)
def test_some_heads_are_not_kept(head: Head, piece: bytes) -> None:
    known = PacketHeads()
    known.learn(head, piece)
    assert known.find(asked(length=4)) is None
    assert known.find(piece) is None


def test_the_heads_kept_are_bounded() -> None:
    known = PacketHeads()
    for number in range(HEADS_MAX + 1):
        known.learn(head_of(1), asked(length=1, more=f"X: {number}"))
    assert known.find(asked(length=1, more="X: 0")) is None
    assert known.find(asked(length=1, more=f"X: {HEADS_MAX}")) is not None
