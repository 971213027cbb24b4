"""Behind a proxy: whose attempts are counted, and whose word is believed."""

import time
from pathlib import Path

import httpx
import pytest

from callers import PASSWORD, client_of, signed_in
from meterbook.storage.database import Database
from servers import running_server

GUESSER, OWNER = "198.51.100.1", "198.51.100.2"


@pytest.mark.parametrize(
    ("trusted", "said_to_be", "expected"),
    [
        ("127.0.0.0/8", OWNER, 200),  # the proxy says who it is
        ("127.0.0.0/8", f"{OWNER}, {GUESSER}", 429),  # only its own word counts, the last one
        ("127.0.0.0/8", f"{OWNER} / {GUESSER}", 429),  # also below what the client sent
        ("127.0.0.0/8", f"{GUESSER} / {OWNER}", 200),
        ("", OWNER, 429),  # nobody's word counts
    ],
)
def test_attempts_are_counted_by_the_address_a_trusted_proxy_tells(
    sqlite_url: str, tmp_path: Path, trusted: str, said_to_be: str, expected: int
) -> None:
    settings = {"trusted_proxies": trusted, "wrong_sign_ins_per_minute": "2"}
    book = Database(sqlite_url)
    signed_in(book, "owner")
    book.close()
    with (
        running_server(tmp_path / "server", database_url=sqlite_url, settings=settings) as server,
        client_of(server.url) as client,
    ):
        minute, status = -1.0, 0
        while minute != time.time() // 60:  # the count begins anew with the minute: so do we
            minute = time.time() // 60
            status = after_two_wrong(client, said_to_be)
    assert status == expected


def after_two_wrong(client: httpx.Client, said_to_be: str) -> int:
    """Guess wrong twice and return how the owner's right password is answered."""
    wrong = {"username": "owner", "password": "wrong"}
    for _ in range(2):
        client.post("/auth/login", json=wrong, headers={"X-Forwarded-For": GUESSER})
    right = {"username": "owner", "password": PASSWORD}
    headers = [("X-Forwarded-For", line) for line in said_to_be.split(" / ")]
    return client.post("/auth/login", json=right, headers=headers).status_code
