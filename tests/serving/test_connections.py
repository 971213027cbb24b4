"""Connections byte for byte: two ways of a packet, one answer; order, limits and ends."""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from callers import signed_in
from http_lines import PATIENCE_S_MAX, all_of, answers, connected, exchanged
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from servers import Server, running_server

HOST = "Host: meterbook\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server with little patience."""
    folder = tmp_path_factory.mktemp("connections")
    little = ("-c", "from torture.short_patience import serve; serve()")
    found_in = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    path = {"PYTHONPATH": found_in.rstrip(os.pathsep)}
    with running_server(folder, command=little, environment=path) as started:
        yield started


def packet(meter: int, reading: str = "0.5") -> bytes:
    stamp = "2025-02-08T00:31:00Z"
    return f'{{"id": {meter}, "timestamp": "{stamp}", "reading_kWh": {reading}}}'.encode()


def posted(body: bytes, *, path: str = "/meter", more: str = "", version: str = "1.1") -> bytes:
    head = f"POST {path} HTTP/{version}\r\n{HOST}{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def in_pieces(body: bytes, *, path: str = "/meter") -> bytes:
    """Return the same request in a form that does not fit the lane."""
    head = f"POST {path} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
    piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head.encode() + piece + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (packet(11), 201),
        (packet(0), 400),
        (packet(11, "-1"), 400),
        (b"", 400),
        (b"[]", 400),
        (b'{"id": 1}', 400),
        (b"\xff", 400),
        (b" " * 16_384, 400),
        (b" " * 16_385, 413),
    ],
)
def test_the_lane_answers_as_the_long_way_does(server: Server, body: bytes, status: int) -> None:
    fast, slow = exchanged(server, posted(body)), exchanged(server, in_pieces(body))
    assert fast == slow
    assert [code for code, _ in fast] == [status]


def test_what_is_no_packet_goes_the_long_way(server: Server) -> None:
    [(status, document)] = exchanged(server, b"GET /meter HTTP/1.1\r\nHost: m\r\n\r\n")
    assert (status, json.loads(document)["title"]) == (405, "Method not allowed")
    [(status, _)] = exchanged(server, posted(packet(1), path="/meter-x"))
    assert status == 404
    text = posted(packet(1)).replace(b"application/json", b"text/plain")
    assert [status for status, _ in exchanged(server, text)] == [415]


def test_a_key_is_asked_for_in_the_lane_too(server: Server) -> None:
    forwarded = posted(packet(12), more="X-Forwarded-For: 203.0.113.9\r\n")
    [(status, document)] = exchanged(server, forwarded)
    assert (status, json.loads(document)["detail"]) == (401, "a key is required from this network")
    assert exchanged(server, posted(packet(12), more="Authorization: Bearer x\r\n"))[0][0] == 401


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    live = b"GET /health/live HTTP/1.1\r\nHost: meterbook\r\n\r\n"
    wanted = [
        (posted(packet(21, "0.021")), 201),
        (live, 200),
        (posted(packet(22, "0.022")), 201),
        (posted(b"{}"), 400),
        (in_pieces(packet(23, "0.023")), 201),
        (posted(packet(24, "0.024")), 201),
        (live, 200),
    ]
    got = exchanged(server, *(request for request, _ in wanted))
    assert [status for status, _ in got] == [status for _, status in wanted]
    ids = [json.loads(body)["id"] for status, body in got if status == 201]
    assert ids == [21, 22, 23, 24]


def test_packets_follow_each_other_on_one_connection_however_they_are_cut(server: Server) -> None:
    stream = b"".join(posted(packet(31, f"0.{n:03}")) for n in range(1, 30))
    last = posted(packet(31), more="Connection: close\r\n")
    with connected(server) as line:
        for begin in range(0, len(stream), 37):
            line.sendall(stream[begin : begin + 37])
        line.sendall(last)
        got = answers(all_of(line))
    assert [status for status, _ in got] == [201] * 30


@pytest.mark.parametrize(("version", "more"), [("1.0", ""), ("1.1", "Connection: close\r\n")])
def test_a_connection_ends_where_the_sender_wants_it_to(
    server: Server, version: str, more: str
) -> None:
    with connected(server) as line:
        line.sendall(posted(packet(41), version=version, more=more))
        came = all_of(line)
    assert b"connection: close\r\n" in came
    assert [status for status, _ in answers(came)] == [201]


def test_a_sender_that_waits_to_be_asked_is_asked(server: Server) -> None:
    body = packet(51)
    with connected(server) as line:
        expecting = posted(body, more="Expect: 100-continue\r\nConnection: close\r\n")
        line.sendall(expecting[: -len(body)])
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")
        line.sendall(body)
        assert answers(all_of(line))[0][0] == 201


def test_a_head_without_end_is_refused(server: Server) -> None:
    with connected(server) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: meterbook\r\n")
        for _ in range(20):
            try:
                line.sendall(b"X-More: %b\r\n" % (b"x" * 8_000))
            except OSError:
                break
        came = all_of(line)
    assert came == b"" or answers(came)[0][0] == 431


def test_what_is_no_http_is_refused(server: Server) -> None:
    with connected(server) as line:
        line.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        assert all_of(line).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("first", [b"", b"POST /meter HTTP/1.1\r\nHost: m\r\n"])
def test_who_says_nothing_is_let_go(server: Server, first: bytes) -> None:
    with connected(server) as line:
        line.sendall(first)
        assert all_of(line) == b""


def test_a_packet_whose_body_stays_away_is_told_so(server: Server) -> None:
    with connected(server) as line:
        line.sendall(posted(packet(61))[:-5])
        [(status, document)] = answers(all_of(line))
    assert (status, json.loads(document)["title"]) == (408, "Request timeout")


def test_who_reads_no_answer_is_let_go(server: Server) -> None:
    with connected(server) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        asked = b"GET /schema/openapi.json HTTP/1.1\r\nHost: meterbook\r\n\r\n" * 40
        line.sendall(asked)
        end = time.monotonic() + PATIENCE_S_MAX
        while time.monotonic() < end:  # a reset is seen by sending only, not by reading
            try:
                line.sendall(b"x")
            except OSError:
                break
            time.sleep(0.2)
        else:
            pytest.fail("still held")


def test_a_sender_that_hangs_up_before_its_answer_takes_nobody_with_it(server: Server) -> None:
    for meter in range(71, 91):
        with connected(server) as line:
            line.sendall(posted(packet(meter)))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert [status for status, _ in exchanged(server, posted(packet(91)))] == [201]


def test_who_asks_ahead_without_reading_is_waited_for(server: Server) -> None:
    book = Database(f"sqlite:///{server.log.parent / 'meterbook.sqlite'}")
    _, token = signed_in(book, "operator who asks ahead", role=Role.OPERATOR)
    with book.writing() as connection:
        add_meters(connection, [101], zone="UTC", now=0)
    book.close()
    path = "/profile/101/consumption?from=2024-01-01&to=2025-02-01&resolution=day"
    asked = f"GET {path} HTTP/1.1\r\nHost: m\r\nAuthorization: Token {token}\r\n\r\n".encode()
    with connected(server) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        line.sendall(asked * 300 + b"GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
        time.sleep(1)  # 8 MB: more than the sockets hold
        got = answers(all_of(line))
    assert len(got) == 301
    assert len(set(got[:-1])) == 1
    assert got[0][0] == 200


H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"


def test_who_offers_to_upgrade_is_answered_in_plain_http(server: Server) -> None:
    live = b"GET /health/live HTTP/1.1\r\nHost: m\r\n" + H2C.encode() + b"\r\n"
    chunked = in_pieces(packet(32)).replace(b"Transfer", H2C.encode() + b"Transfer")
    asked = [posted(packet(31), more=H2C), live, chunked, posted(packet(31), more=H2C), live]
    assert [status for status, _ in exchanged(server, *asked)] == [201, 200, 201, 201, 200]


HIDDEN = b"GET /health/live HTTP/1.1\r\nHost: meterbook\r\n\r\n"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (f"Content-Length: {len(HIDDEN)}", HIDDEN),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    ],
    ids=["whole", "in pieces"],
)
def test_the_body_of_who_offers_to_upgrade_is_no_request(
    server: Server, coding: str, body: bytes
) -> None:
    with connected(server) as line:
        head = f"POST /nowhere HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\n{coding}\r\n"
        line.sendall(head.encode() + b"Upgrade: h2c\r\n\r\n")
        time.sleep(0.2)
        line.sendall(body)
        line.sendall(b"GET /nowhere HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
        assert [status for status, _ in answers(all_of(line))] == [404, 404]


def test_a_tunnel_is_refused_and_what_is_sent_through_it_is_not_read(server: Server) -> None:
    with connected(server) as line:
        line.sendall(b"CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n" + posted(packet(33)))
        [(status, _)] = answers(all_of(line))
    assert status in {400, 404, 405}


def test_what_follows_a_body_is_no_header(server: Server) -> None:
    trailer = b"\r\n0\r\nAuthorization: Bearer abc\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n"
    asked = in_pieces(packet(34)).replace(b"\r\n0\r\n\r\n", trailer)
    assert trailer in asked
    assert [status for status, _ in exchanged(server, asked)] == [201]


@pytest.mark.parametrize(
    ("piece", "endless"),
    [(b"0\r\n", b"X-More: more\r\n"), (b"1;", b"more")],
    ids=["after its pieces", "beside a piece"],
)
def test_what_is_no_part_of_a_body_is_cut_off_if_it_has_no_end(
    server: Server, piece: bytes, endless: bytes
) -> None:
    with connected(server) as line:
        line.sendall(in_pieces(packet(35)).removesuffix(b"0\r\n\r\n") + piece)
        for _ in range(1000):
            try:
                line.sendall(endless * 100)
            except ConnectionError:
                return
            time.sleep(0.001)
    pytest.fail("all of it was taken")


@pytest.mark.parametrize("path", ["/meter", "/nowhere"])
def test_what_is_no_http_is_refused_after_the_answers_before_it(server: Server, path: str) -> None:
    with connected(server) as line:
        line.sendall(posted(packet(36), path=path) + b"GARBAGE\r\n\r\n")
        [(status, _)] = answers(all_of(line))
        assert status == (201 if path == "/meter" else 404)


def test_a_packet_is_answered_though_its_sender_will_say_no_more(server: Server) -> None:
    with connected(server) as line:
        line.sendall(posted(packet(37)))
        line.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(all_of(line))] == [201]


def test_who_asks_ahead_without_end_is_answered_one_after_the_other(server: Server) -> None:
    asked = b"GET /meter HTTP/1.1\r\n\r\n" * 1000
    found = 0
    ends = time.monotonic() + 3
    with connected(server) as line:
        line.settimeout(0)
        while time.monotonic() < ends:
            ready, writable, _ = select.select([line], [line], [], 1)
            if ready:
                found += line.recv(1 << 20).count(b"HTTP/1.1 405")
            if writable:
                line.send(asked)
    assert found > 1000  # a dozen, when each answer let in another ten thousand


@pytest.mark.parametrize("more", ["", "X-Known: no\r\n"])
def test_a_server_that_is_told_to_stop_answers_what_has_begun(tmp_path: Path, more: str) -> None:
    with running_server(tmp_path) as server, connected(server) as lane, connected(server) as task:
        whole = posted(packet(38), more=more)
        lane.sendall(whole[:-5])
        pieces = in_pieces(packet(39))
        task.sendall(pieces[:-20])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        lane.sendall(whole[-5:])
        task.sendall(pieces[-20:])
        assert [status for status, _ in answers(all_of(lane))] == [201]
        assert [status for status, _ in answers(all_of(task))] == [201]
        assert server.process.wait(PATIENCE_S_MAX) == 0
        assert "Traceback" not in server.log.read_text(encoding="utf-8")
