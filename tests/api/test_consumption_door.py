"""What programs ask most is answered before the framework, in the same words as by its route."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from books import record_packets
from callers import client_of, signed_in
from http_lines import all_of, answers, connected, exchanged
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.intake.packet_fields import Packet
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters, claim_meters
from meterbook.storage.database import Database
from servers import Server

METER, OTHER = 717, 718
DAYS = 40
TO_THE_ROUTE = {"Accept": "application/json;q=0.9"}  # not regular, but as good


@pytest.fixture(scope="module")
def owner(server: Server, book: Database) -> str:
    """Give the token of a household with a meter that has sent for weeks, like another's."""
    account, token = signed_in(book, "owner of months")
    now = int(time.time())
    with book.writing() as connection:
        add_meters(connection, [METER, OTHER], zone="Europe/London", now=0)
        claim_meters(connection, [METER], account_id=account.id, now=0)
    begins_at = now - now % HALF_HOUR_S - DAYS * 86_400
    record_packets(
        book,
        [
            Packet(meter, begins_at + slot * HALF_HOUR_S + 60, slot % 2_000 + meter)
            for slot in range(48 * DAYS)
            for meter in (METER, OTHER)
            if slot % 17
        ],
    )
    return token


@pytest.fixture(scope="module")
def operator(server: Server, book: Database) -> str:
    """Give an operator's token."""
    return signed_in(book, "operator of months", role=Role.OPERATOR)[1]


def by_the_door(answer: httpx.Response) -> bool:
    # The framework gives every caller a cookie, also one that shows a token.
    return "set-cookie" not in answer.headers


def asked_twice(client: httpx.Client, path: str) -> tuple[httpx.Response, httpx.Response]:
    return client.get(path), client.get(path, headers=TO_THE_ROUTE)


REGULAR = [
    "",
    "?period=prev-day",
    "?period=prev-hr",
    "?period=current-week",
    "?period=prev-month",
    "?period=current-year",
    "?period=prev-month&resolution=half-hour",
    "?period=current-month&resolution=week",
    "?from=2024-01-01&to=2024-02-01&resolution=day",
    "?from=2025-03-29&to=2025-04-02",
    "?resolution=hour",
]


@pytest.mark.parametrize("query", REGULAR)
def test_the_door_and_the_route_answer_the_same(
    server: Server, owner: str, operator: str, query: str
) -> None:
    for token, written in [(owner, f"{METER}"), (operator, "000-000-718")]:
        with client_of(server.url, token) as client:
            fast, slow = asked_twice(client, f"/profile/{written}/consumption{query}")
        assert (fast.status_code, slow.status_code) == (200, 200)
        assert fast.content == slow.content
        kept = {*slow.headers} - {"set-cookie", "date", "vary"}
        assert {name: fast.headers[name] for name in kept} == {
            name: slow.headers[name] for name in kept
        }


@pytest.mark.parametrize("query", ["", "?period=prev-day", "?from=2025-03-29&to=2025-04-28"])
def test_regular_questions_do_not_reach_the_framework(
    server: Server, owner: str, query: str
) -> None:
    with client_of(server.url, owner) as client:
        fast, slow = asked_twice(client, f"/profile/{METER}/consumption{query}")
    assert (by_the_door(fast), by_the_door(slow)) == (True, False)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{OTHER}/consumption", 404),
        ("719/consumption", 404),
        ("0/consumption", 404),
        ("7-/consumption", 404),
        (f"{METER}/consumption?period=yesteryear", 400),
        (f"{METER}/consumption?from=2025-02-01", 400),
        (f"{METER}/consumption?from=2025-02-02&to=2025-02-01", 400),
        (f"{METER}/consumption?from=2025-02-30&to=2025-03-01", 400),
        (f"{METER}/consumption?from=2025-02-01&to=2025-03-01&period=prev-day", 400),
        (f"{METER}/consumption?resolution=blink", 400),
        (f"{METER}/consumption?flow=export", 404),
        (f"{METER}/consumption?period=prev-day&period=prev-month", 200),
        (f"{METER}/consumption?format=json", 200),
        (f"{METER}/consumption?nothing=asked", 200),
        (f"{METER}/consumption?%ff", 200),
        (f"{METER}/consumption?period=prev%2Dday", 200),
    ],
)
def test_whatever_is_odd_is_left_to_the_route(
    server: Server, owner: str, path: str, status: int
) -> None:
    with client_of(server.url, owner) as client:
        fast, slow = asked_twice(client, f"/profile/{path}")
    assert (fast.status_code, fast.content) == (slow.status_code, slow.content)
    assert fast.status_code == status


def test_no_token_or_a_dead_one_opens_nothing(server: Server, owner: str) -> None:
    path = f"/profile/{METER}/consumption"
    for token in (None, "f" * 64, owner[:-1]):
        with client_of(server.url, token) as client:
            assert client.get(path).status_code == 401
    with client_of(server.url, owner) as client:
        assert client.head(path).status_code == 405
        assert client.post(path).status_code == 405


def test_a_crowd_with_different_questions_gets_each_its_own_answer(
    server: Server, owner: str, operator: str
) -> None:
    questions = [
        (token, f"/profile/{meter}/consumption{query}")
        for token, meter in [(owner, METER), (operator, OTHER), (owner, OTHER), ("dead", METER)]
        for query in REGULAR
    ]

    def ask(question: tuple[str, str]) -> httpx.Response:
        with client_of(server.url, question[0]) as client:
            return client.get(question[1])

    alone = [ask(question).content for question in questions]
    with ThreadPoolExecutor(16) as crowd:
        for _ in range(3):
            assert [answer.content for answer in crowd.map(ask, questions)] == alone


def asked_raw(path: str, token: str, *, version: str = "1.1", more: str = "") -> bytes:
    head = f"GET {path} HTTP/{version}\r\nHost: m\r\nAuthorization: Token {token}\r\n{more}\r\n"
    return head.encode()


def test_questions_sent_ahead_are_answered_in_their_order(
    server: Server, owner: str, operator: str
) -> None:
    packet = json.dumps({"id": 717, "timestamp": "2023-02-08T00:31:00Z", "reading_kWh": 0.5})
    posted = f"POST /meter HTTP/1.1\r\nHost: m\r\nContent-Length: {len(packet)}\r\n\r\n{packet}"
    live = b"GET /health/live HTTP/1.1\r\nHost: m\r\n\r\n"
    month = f"/profile/{METER}/consumption?period=prev-month"
    wanted = [
        (asked_raw(month, owner), 200),
        (posted.encode(), 201),
        (asked_raw(f"/profile/{OTHER}/consumption", owner), 404),
        (asked_raw(f"/profile/{OTHER}/consumption", operator), 200),
        (asked_raw(month, "f" * 64), 401),
        (live, 200),
        (asked_raw(f"{month}&resolution=blink", owner), 400),
        (asked_raw(month, owner), 200),
    ]
    got = exchanged(server, *(request for request, _ in wanted))
    assert [status for status, _ in got] == [status for _, status in wanted]
    assert got[0][1] == got[-1][1]
    assert [json.loads(got[place][1])["meter_id"] for place in (0, 3)] == [METER, OTHER]


def test_questions_follow_each_other_on_one_connection_however_they_are_cut(
    server: Server, owner: str
) -> None:
    paths = [f"/profile/{METER}/consumption{query}" for query in REGULAR]
    stream = b"".join(asked_raw(path, owner) for path in paths)
    stream += asked_raw(paths[0], owner, more="Connection: close\r\n")
    with connected(server) as line:
        for begin in range(0, len(stream), 97):
            line.sendall(stream[begin : begin + 97])
        got = answers(all_of(line))
    with client_of(server.url, owner) as client:
        alone = [client.get(path).content for path in [*paths, paths[0]]]
    assert got == [(200, body) for body in alone]


@pytest.mark.parametrize(("version", "more"), [("1.0", ""), ("1.1", "Connection: close\r\n")])
def test_a_connection_ends_where_its_question_wants_it_to(
    server: Server, owner: str, version: str, more: str
) -> None:
    with connected(server) as line:
        path = f"/profile/{METER}/consumption"
        line.sendall(asked_raw(path, owner, version=version, more=more))
        came = all_of(line)
    assert b"connection: close\r\n" in came
    assert [status for status, _ in answers(came)] == [200]


def test_a_question_with_a_body_is_answered_by_its_route(server: Server, owner: str) -> None:
    path = f"/profile/{METER}/consumption"
    asked = [
        asked_raw(path, owner),
        asked_raw(path, owner, more="Content-Length: 3\r\n") + b"???",
        asked_raw(path, owner, more="Transfer-Encoding: chunked\r\n") + b"3\r\n???\r\n0\r\n\r\n",
        asked_raw(path, owner),
    ]
    got = exchanged(server, *asked)
    assert [status for status, _ in got] == [200] * 4
    assert len({body for _, body in got}) == 1


def test_who_asks_and_hangs_up_takes_nobody_with_it(server: Server, owner: str) -> None:
    path = f"/profile/{METER}/consumption?period=current-year"
    for token in [owner, "f" * 64] * 10:
        with connected(server) as line:
            line.sendall(asked_raw(path, token) * 3)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert [status for status, _ in exchanged(server, asked_raw(path, owner))] == [200]
