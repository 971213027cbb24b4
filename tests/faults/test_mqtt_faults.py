"""The broker restarts, the server is killed before its commit: nothing lost, nothing twice."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from brokers import Mosquitto, running_broker
from device_owners import samples_of
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import job_leases
from servers import running_server

HERE = Path(__file__).parent
WAIT_S_MAX = 40


def wait_for(there: Callable[[], object], *, seconds: float = WAIT_S_MAX) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if there():
            return True
        time.sleep(0.05)
    return bool(there())


def settings_of(broker: Mosquitto) -> dict[str, str]:
    return {"mqtt_url": broker.url}


def is_listening(folder: Path) -> bool:
    return "broker connected" in (folder / "server.log").read_text(encoding="utf-8")


def forget_the_lease(book: Database) -> None:
    """Let the next process begin at once: it would wait for the dead one's lease to run out."""
    with book.writing() as connection:
        connection.execute(sa.delete(job_leases))


def test_a_message_is_sent_again_to_a_server_killed_before_its_commit(
    database_url: str, tmp_path: Path
) -> None:
    came = killed_before_its_commit(database_url, tmp_path, early=False)
    ((at_ms, number),) = came["energy"]
    assert at_ms % 1000 == 0
    assert number == 1.5


def test_the_control_that_acknowledges_early_loses_the_message(
    sqlite_url: str, tmp_path: Path
) -> None:
    assert killed_before_its_commit(sqlite_url, tmp_path, early=True) == {}


def killed_before_its_commit(
    database_url: str, tmp_path: Path, *, early: bool
) -> dict[str, list[tuple[int, float]]]:
    """Kill a server between receiving and committing; return what the next one has at last."""
    book = Database(database_url)
    migrate(book)
    stamp = int(time.time()) - 60
    folder = tmp_path / "data"
    slow = [str(HERE / "slow_pool_server.py"), *(["--acknowledge-early"] if early else [])]
    with running_broker(tmp_path / "broker") as broker:
        given = {"database_url": database_url, "settings": settings_of(broker)}
        with running_server(folder, command=slow, **given) as server:  # type: ignore[arg-type]
            assert wait_for(lambda: is_listening(folder))
            broker.publish("emon/killed", json.dumps({"energy": 1.5, "time": stamp}))
            assert wait_for((folder / "received").exists)
            time.sleep(0.5)
            server.kill()
        assert samples_of(book, "mqtt", "emon/killed") == {}
        forget_the_lease(book)
        with running_server(folder, **given):  # type: ignore[arg-type]
            assert wait_for(lambda: is_listening(folder))
            wait_for(lambda: samples_of(book, "mqtt", "emon/killed"), seconds=3 if early else 20)
    came = samples_of(book, "mqtt", "emon/killed")
    book.close()
    return came


def test_nothing_is_lost_when_broker_and_server_go_and_come_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    book = Database(sqlite_url)
    migrate(book)
    folder = tmp_path / "data"
    stamp = int(time.time()) - 10_000
    sent: list[int] = []

    def send(count: int) -> None:
        for _ in range(count):
            at = stamp + len(sent)
            broker.publish("emon/steady", json.dumps({"energy": len(sent), "time": at}))
            sent.append(at)

    def stored() -> list[tuple[int, float]]:
        return samples_of(book, "mqtt", "emon/steady").get("energy", [])

    with running_broker(tmp_path / "broker") as broker:
        given = {"database_url": sqlite_url, "settings": settings_of(broker)}
        with running_server(folder, **given) as server:  # type: ignore[arg-type]
            assert wait_for(lambda: is_listening(folder))
            time.sleep(0.3)
            send(5)
            broker.stop()
            broker.start()
            send(5)
            assert wait_for(lambda: len(stored()) == 10)
            assert server.stop() == 0
        send(5)
        broker.stop()
        broker.start()
        forget_the_lease(book)
        with running_server(folder, **given):  # type: ignore[arg-type]
            assert wait_for(lambda: len(stored()) == 15)
    assert stored() == [(at * 1000, float(i)) for i, at in enumerate(sent)]
    book.close()
