"""
The database goes away under load: it is restarted, and it fails over to its standby.

The server is given both PostgreSQL hosts and `target_session_attrs=read-write`, and commits wait
for the standby (`synchronous_standby_names`, `synchronous_commit = on`): only so does a failover
lose nothing. The control does not wait for the standby, which lags when the primary dies.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from servers import Server
from torture.clusters import Cluster, cluster_folder, end, new_cluster
from torture.kills import strike_under_load
from torture.new_books import Book, new_book
from torture.outcomes import Outcome
from torture.processes import Taken, kill, settled, taken
from torture.warm_servers import warm_server

STANDBY = "standby"
ATTACHED_S_MAX = 60
MODES = ("fast", "immediate")


def restarts(cluster: Cluster, book: Book, *, cycles: int, seed: int) -> Outcome:
    """Restart PostgreSQL under load, as its packages' updates do; the server lives through it."""
    chance = random.Random(seed)

    def restart(_server: Server) -> None:
        cluster.stop(chance.choice(MODES))
        time.sleep(chance.uniform(0, 1))
        cluster.start()

    with warm_server(book.folder, database_url=book.url) as server:
        before: Taken | None = None
        for _ in range(cycles):
            strike_under_load(server, book.sender, chance, restart, goes_on=True)
            server.wait_until_ready()
            before = before or taken(server.process.pid)
        after = settled(server.process.pid, before) if before else taken(server.process.pid)
    _only_put_off(book)
    return book.outcome("", cycles=cycles, lived=(before or after, after))


def failover(*, seed: int, is_control: bool = False) -> Outcome:
    """Kill the primary under load and promote its standby; the server finds it by itself."""
    chance = random.Random(seed)
    with _pair(is_control=is_control) as (primary, standby):
        url = _both(primary, standby)
        with new_book("postgresql", url=url) as book:
            senders = _silence(primary) if is_control else []

            def fail_over(_server: Server) -> None:
                primary.kill()
                for sender in senders:
                    kill(sender)
                standby.run("pg_ctl", "-D", str(standby.files), "-w", "promote")

            with warm_server(book.folder, database_url=url) as server:
                strike_under_load(server, book.sender, chance, fail_over, goes_on=True)
                server.wait_until_ready()
                known = len(book.sender.promises.acknowledged)
                strike_under_load(server, book.sender, chance, lambda _server: None)
                if len(book.sender.promises.acknowledged) == known:
                    book.findings.append("nothing is stored after the failover")
            _only_put_off(book)
            book.url = standby.url
            return book.outcome("", cycles=1, is_control=is_control)


def outcomes(*, cycles: int, seed: int) -> Iterator[Outcome]:
    """Restart and fail over; of a thousand cycles fifty restarts and five failovers."""
    with new_cluster() as cluster, new_book("postgresql", url=cluster.url) as book:
        outcome = restarts(cluster, book, cycles=max(2, cycles // 20), seed=seed)
        outcome.what = "database restarted, postgresql"
        yield outcome
    for number in range(max(1, cycles // 200)):
        outcome = failover(seed=seed + number)
        outcome.what = f"failover {number + 1}, postgresql"
        yield outcome
    outcome = failover(seed=seed, is_control=True)
    outcome.what = "control: failover, commits do not wait for the standby"
    yield outcome


@contextmanager
def _pair(*, is_control: bool) -> Iterator[tuple[Cluster, Cluster]]:
    with new_cluster() as primary, cluster_folder() as folder:
        standby = Cluster(folder)
        standby.run(
            "pg_basebackup", "-h", str(primary.folder), "-U", "postgres", "-D", str(standby.files),
            "-R", "-c", "fast",
        )  # fmt: skip
        settings = standby.files / "postgresql.auto.conf"
        text = settings.read_text(encoding="utf-8")
        text = text.replace(
            "primary_conninfo = '", f"primary_conninfo = 'application_name={STANDBY} "
        )
        settings.write_text(text, encoding="utf-8")
        standby.start()
        if not is_control:
            _wait_for_standby(primary)
        try:
            yield primary, standby
        finally:
            end(standby)


def _both(primary: Cluster, standby: Cluster) -> str:
    hosts = f"host={primary.folder}&host={standby.folder}"
    return f"postgresql+psycopg://postgres@/meterbook?{hosts}&target_session_attrs=read-write"


def _wait_for_standby(primary: Cluster) -> None:
    """Let every commit from now on wait until the standby has it on disk."""
    with psycopg.connect(f"host={primary.folder} user=postgres", autocommit=True) as server:
        server.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        server.execute("SELECT pg_reload_conf()")
        for _ in range(ATTACHED_S_MAX * 10):
            state = server.execute("SELECT sync_state FROM pg_stat_replication").fetchone()
            if state == ("sync",):
                return
            time.sleep(0.1)
    raise TimeoutError("the standby does not follow")


def _silence(primary: Cluster) -> list[int]:
    """Let the standby hear nothing more: the lag of a bad line, made certain."""
    with psycopg.connect(f"host={primary.folder} user=postgres", autocommit=True) as server:
        rows = server.execute("SELECT pid FROM pg_stat_replication").fetchall()
    for (sender,) in rows:
        os.kill(sender, signal.SIGSTOP)
    return [sender for (sender,) in rows]


def _only_put_off(book: Book) -> None:
    book.findings += [
        f"a packet was answered {status}" for status in book.sender.refusals if status != 503
    ]
