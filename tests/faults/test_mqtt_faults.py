"""The broker restarts, the server is killed before its commit: nothing lost, nothing twice."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from brokers import Mosquitto, running_broker
from device_owners import samples_of
from meterbook.domain.local_days import utc_text
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import daybook, job_leases, superseded_readings
from servers import Server, running_server

HERE = Path(__file__).parent
METER = 271_828
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
    return "topics subscribed" in (folder / "server.log").read_text(encoding="utf-8")


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


class Steady:
    """Messages one after the other: a sample and a packet of a meter each."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self._first = int(time.time()) // 1800 * 1800 - 100 * 1800
        self.count = 0

    def send(self, count: int) -> None:
        """Publish so many more, each acknowledged by the broker."""
        for number in range(self.count, self.count + count):
            sample = {"energy": number, "time": self._first + number}
            self._broker.publish("emon/steady", json.dumps(sample))
            stamp = utc_text(self._first + number * 1800 + 60)
            packet = {"id": METER, "timestamp": stamp, "reading_kWh": number / 1000}
            self._broker.publish("meterbook/packets", json.dumps(packet))
        self.count += count

    @property
    def samples(self) -> list[tuple[int, float]]:
        """What must be stored of the samples."""
        return [((self._first + number) * 1000, float(number)) for number in range(self.count)]

    @property
    def readings(self) -> list[tuple[int, int]]:
        """What must be in the books of the packets."""
        return [(self._first + (number - 1) * 1800, number) for number in range(self.count)]


def stored(book: Database) -> tuple[list[tuple[int, float]], list[tuple[int, int]]]:
    with book.reading() as connection:
        rows = connection.execute(
            sa.select(daybook.c.starts_at, daybook.c.amount).order_by(daybook.c.starts_at)
        )
        readings = [(row[0], row[1]) for row in rows]
    return samples_of(book, "mqtt", "emon/steady").get("energy", []), readings


def test_nothing_is_lost_when_broker_and_servers_go_and_come_back(
    sqlite_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """Two servers with a session each listen to one broker: SQLite's and PostgreSQL's."""
    books = {"sqlite": Database(sqlite_url), "postgresql": Database(postgres_url)}

    def start(stack: ExitStack, broker: Mosquitto) -> list[Server]:
        servers = [
            stack.enter_context(
                running_server(
                    tmp_path / engine,
                    database_url=url,
                    settings=settings_of(broker) | {"mqtt_client_id": engine},
                )
            )
            for engine, url in (("sqlite", sqlite_url), ("postgresql", postgres_url))
        ]
        assert wait_for(lambda: all(is_listening(tmp_path / engine) for engine in books))
        return servers

    def is_all_there() -> bool:
        expected = (steady.samples, steady.readings)
        return all(stored(book) == expected for book in books.values())

    with running_broker(tmp_path / "broker") as broker, ExitStack() as stack:
        steady = Steady(broker)
        servers = start(stack, broker)
        steady.send(4)
        broker.stop()
        broker.start()
        steady.send(4)
        assert wait_for(is_all_there)
        steady.send(4)
        for server in servers:
            server.kill()
        steady.send(4)
        broker.stop()
        broker.start()
        for book in books.values():
            forget_the_lease(book)
        start(stack, broker)
        assert wait_for(is_all_there), [stored(book) for book in books.values()]
    for book in books.values():
        with book.reading() as connection:
            assert connection.scalar(sa.select(sa.func.count(superseded_readings.c.amount))) == 0
        book.close()
