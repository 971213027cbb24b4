"""A fleet at work: against a server that is busy, away or refuses, and against a real one."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from commands import run_command
from meterbook.cli.simulate import simulate
from meterbook.simulate.fleet import ServerAwayError, post_packets, wait_until_ready
from meterbook.simulate.outcomes import Outcomes
from meterbook.simulate.packets import DuePacket
from servers import free_port, running_server

Answer = Callable[[web.Request], Awaitable[web.Response]]


def packets(count: int) -> Iterator[DuePacket]:
    return iter([DuePacket(1_760_000_460 + n * 1800, 1, n) for n in range(count)])


def post_to(
    answer: Answer, some: Iterator[DuePacket], *, duration_s: float | None = 20
) -> tuple[Outcomes, float]:
    """Post to a server that answers so; return the outcomes and how long it took."""
    outcomes = Outcomes()

    async def run() -> float:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        begun = time.monotonic()
        await post_packets(
            some,
            url=f"http://127.0.0.1:{port}",
            outcomes=outcomes,
            connections=2,
            stop=asyncio.Event(),
            duration_s=duration_s,
        )
        elapsed_s = time.monotonic() - begun
        await runner.cleanup()
        return elapsed_s

    return outcomes, asyncio.run(run())


@pytest.mark.parametrize("status", [503, 429])
def test_a_packet_put_off_is_sent_again_after_the_time_the_server_named(status: int) -> None:
    bodies: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        if len(bodies) == 1:
            return web.Response(status=status, headers={"Retry-After": "1"})
        return web.Response(status=201)

    outcomes, elapsed_s = post_to(answer, packets(1))

    assert bodies[0] == bodies[1]
    assert outcomes.acknowledged == 1
    assert outcomes.put_off == {str(status): 1}
    assert elapsed_s >= 1


def test_a_packet_whose_connection_broke_is_sent_again() -> None:
    tries = []

    async def answer(request: web.Request) -> web.Response:
        tries.append(request)
        if len(tries) == 1 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=201)

    outcomes, _ = post_to(answer, packets(1))

    assert (outcomes.acknowledged, outcomes.put_off.total(), len(tries)) == (1, 1, 2)


def test_a_refused_packet_is_counted_and_not_sent_again() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=400)

    outcomes, _ = post_to(answer, packets(3))

    assert (outcomes.acknowledged, outcomes.refused) == (0, {400: 3})


def test_a_redirect_is_not_followed_to_another_host() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/meter"})

    outcomes, _ = post_to(answer, packets(1))

    assert (outcomes.refused, outcomes.put_off) == ({307: 1}, {})


def test_the_time_ends_a_fleet_whose_server_never_takes_a_packet() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "60"})

    outcomes, elapsed_s = post_to(answer, packets(9), duration_s=0.5)

    assert (outcomes.acknowledged, outcomes.in_flight) == (0, 2)
    assert elapsed_s < 5


def test_a_packet_is_not_sent_before_it_is_due() -> None:
    due_at = int(time.time()) + 2
    sent_at = []

    async def answer(_request: web.Request) -> web.Response:
        sent_at.append(time.time())
        return web.Response(status=201)

    post_to(answer, iter([DuePacket(due_at, 1, 1)]))

    assert due_at <= sent_at[0] < due_at + 1


def test_nothing_at_the_url_is_a_named_failure() -> None:
    with pytest.raises(ServerAwayError):
        asyncio.run(wait_until_ready(f"http://127.0.0.1:{free_port()}", timeout_s=0.1))


@pytest.mark.parametrize("url", ["nonsense", "http:"])
def test_what_is_no_address_of_a_server_is_said_at_once(url: str) -> None:
    with pytest.raises(ServerAwayError, match="is no address of a server"):
        asyncio.run(wait_until_ready(url, timeout_s=3600))


def test_percentiles_are_within_two_per_cent_and_the_longest_is_exact() -> None:
    outcomes = Outcomes()
    for thousandth in range(1, 1001):
        outcomes.acknowledge(thousandth / 1000)

    latency = outcomes.latency()

    assert latency is not None
    assert latency.p50_s == pytest.approx(0.5, rel=0.02)
    assert latency.p99_s == pytest.approx(0.99, rel=0.02)
    assert latency.longest_s == 1.0


def test_no_packet_no_latency() -> None:
    assert Outcomes().latency() is None


def test_every_packet_reported_as_acknowledged_is_in_the_servers_book(tmp_path: Path) -> None:
    fleet = ("--count", "20", "--first-id", "7000", "--rate", "max", "--days", "2")
    with running_server(tmp_path / "book") as server:
        line = ("simulate", "meters", "--url", server.url, *fleet)
        first = run_command(*line, folder=tmp_path)
        again = run_command(*line, folder=tmp_path)

    assert first.returncode == again.returncode == 0
    assert first.stdout.split()[:2] == again.stdout.split()[:2]
    acknowledged = int(first.stdout.split()[1].replace(",", ""))
    # Two of the real homes lack three half-hours of their year between them.
    assert 20 * 2 * 47 - 60 <= acknowledged <= 20 * 2 * 47
    for figure in ("acknowledged/s", "latency p50", "latency p95", "latency p99", "latency max"):
        assert figure in first.stdout
    assert "due" not in first.stdout  # all of it is of days long past
    with sqlite3.connect(tmp_path / "book" / "meterbook.sqlite") as book:
        [[readings, meters]] = book.execute(
            "SELECT count(*), count(DISTINCT channel_id) FROM daybook"
        )
        [[superseded]] = book.execute("SELECT count(*) FROM superseded_readings")
    assert (readings, meters, superseded) == (acknowledged, 20, 0)


def test_simulating_against_nothing_fails_in_one_line(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    failed = run_command("simulate", "meters", "--url", url, "--wait", "0.1", folder=tmp_path)

    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert url in failed.stderr


@pytest.mark.parametrize("option", ["--wait", "--speed", "--duration", "--late-share"])
@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_numbers_without_an_end_are_wrong_usage(option: str, number: str) -> None:
    asked = CliRunner().invoke(simulate, ["meters", "--count", "1", option, number])
    assert asked.exit_code == 2
    assert option in asked.output
