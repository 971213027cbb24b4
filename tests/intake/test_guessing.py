"""Guessing keys is slowed down; a server of its own, because the whole address has to wait."""

import asyncio
import time
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest

from meterbook.domain.networks import networks
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.packet_fields import PacketLimits
from meterbook.intake.packets import PacketDoor
from meterbook.intake.recorder import Arrival, KeyRefused, Stored
from meterbook.intake.senders import REFUSALS_PER_MINUTE_MAX, Senders
from meterbook.problems import Answer
from servers import running_server

PACKET = {"id": 1, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}


def test_guessing_keys_is_slowed_down(sqlite_url: str, tmp_path: Path) -> None:
    wrong = {"authorization": "Bearer guess"}
    # All within one minute of the clock, or the count begins anew.
    if 60 - time.time() % 60 < 5:
        time.sleep(6)
    with (
        running_server(tmp_path, database_url=sqlite_url) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        answers = [client.post("/meter", json=PACKET, headers=wrong) for _ in range(70)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("proxies", "owner_waits"), [("10.0.0.0/8", False), ("", True)], ids=["trusted", "unknown"]
)
def test_behind_a_trusted_proxy_only_the_guesser_has_to_wait(
    proxies: str, *, owner_waits: bool
) -> None:
    senders = Senders((), proxies=networks(proxies))
    for _ in range(REFUSALS_PER_MINUTE_MAX):
        senders.refused(_through_proxy("198.51.100.1"), now=0)
    assert senders.must_wait_s(_through_proxy("198.51.100.1"), now=0) == 60
    assert bool(senders.must_wait_s(_through_proxy("198.51.100.2"), now=0)) is owner_waits


def _through_proxy(address: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", f"203.0.113.9, {address}".encode())]
    return {"client": ("10.0.0.1", 1), "headers": headers}


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("192.0.2.7", [], 401),
        ("192.0.2.7", [(b"authorization", b"Basic eDp5")], 401),
        ("127.0.0.1", [(b"content-type", b"text/plain")], 415),
    ],
)
def test_who_may_not_send_is_told_before_the_body_is_read(
    address: str, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    async def receive() -> Any:
        raise AssertionError

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"method": "POST", "client": (address, 1), "headers": headers}
    asyncio.run(_door()(scope, receive, send))
    assert sent[0]["status"] == status


def test_a_connection_that_is_refused_again_and_again_takes_no_more_memory() -> None:
    door = _door()
    sender = door.sender_of({"client": ("192.0.2.7", 1), "headers": []}, {})
    answers: list[Answer] = []
    lengths = []
    for _ in range(5):
        door.take(sender, b"{}", answers.append)
        lengths.append(len(traceback.extract_tb(sender.refusal.__traceback__)))  # type: ignore[union-attr]
    assert [answer.status for answer in answers] == [401] * 5
    assert len({*lengths}) == 1


def _door() -> PacketDoor:
    commits: GroupCommit[Arrival, Stored | KeyRefused] = GroupCommit(_refuse_all, queue_max=1)
    senders = Senders(networks("127.0.0.0/8"))
    return PacketDoor(commits, senders=senders, limits=PacketLimits())


def _refuse_all(_arrivals: list[Arrival]) -> list[Stored | KeyRefused]:
    raise AssertionError
