"""The broker's listener: what breaks a session does not end it, nor what was announced before."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiomqtt
import pytest

from brokers import Mosquitto, running_broker
from meterbook.inputs import pool
from meterbook.inputs.deliveries import Announcement, Delivery
from meterbook.intake.wire import mqtt
from meterbook.intake.wire.known_devices import KnownDevices
from meterbook.intake.wire.mqtt import MqttIntake
from meterbook.intake.wire.mqtt_client import KEEPALIVE_S, Connection
from meterbook.intake.wire.mqtt_start import mqtt_plan
from meterbook.storage.database import Database

UTC = ZoneInfo("UTC")
PLAN, _ = mqtt_plan(
    url="mqtt://127.0.0.1:1", client_id="c", ca_file="", topics="t", prefix="p",
    discovery_prefix="d", publish_meters="",
)  # fmt: skip


async def _publish_nothing(_: Callable[[str, bytes], Awaitable[None]]) -> None:
    await asyncio.sleep(0)


def test_a_session_that_breaks_unexpectedly_is_followed_by_another(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "PAUSE_S_MIN", 0.0)
    unused: Any = None

    async def work() -> None:
        listener = MqttIntake(
            PLAN, deliveries=unused, packets=unused, limits=unused, may_run=lambda: True,
            known=KnownDevices(sqlite_database, scheme="mqtt", default_zone=UTC),
            publish=_publish_nothing,
        )  # fmt: skip
        begun = asyncio.Semaphore(0)

        async def break_it() -> None:
            begun.release()
            raise RuntimeError("nobody thought of this")

        monkeypatch.setattr(listener, "_session", break_it)
        listening = asyncio.create_task(listener.run())
        async with asyncio.timeout(30):
            for _ in range(3):
                once_more = asyncio.create_task(begun.acquire())
                await asyncio.wait([once_more, listening], return_when=asyncio.FIRST_COMPLETED)
                assert not listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(work())


def test_a_lost_broker_is_noticed_though_the_event_loop_has_let_go_of_its_socket(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connection] = []

    class Noted(Connection):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            opened.append(self)

    monkeypatch.setattr(mqtt, "Connection", Noted)
    unused: Any = None

    async def work(broker: Mosquitto) -> None:
        plan, _ = mqtt_plan(
            url=broker.url, client_id="c", ca_file="", topics="t", prefix="p",
            discovery_prefix="d", publish_meters="",
        )  # fmt: skip
        listener = MqttIntake(
            plan, deliveries=unused, packets=unused, limits=unused, may_run=lambda: True,
            known=KnownDevices(sqlite_database, scheme="mqtt", default_zone=UTC),
            publish=_publish_nothing,
        )  # fmt: skip
        session = asyncio.create_task(listener._session())
        async with asyncio.timeout(KEEPALIVE_S / 2):  # before a ping would find out
            while not (opened and opened[0]._client.is_connected()):  # noqa: ASYNC110 no event tells
                await asyncio.sleep(0.01)
            found = opened[0]._client.socket()
            assert found is not None
            asyncio.get_running_loop().remove_reader(found.fileno())
            await asyncio.to_thread(broker.stop)
            with pytest.raises(aiomqtt.MqttError):
                await session

    with running_broker(tmp_path) as broker:
        asyncio.run(work(broker))


def test_a_kept_announcement_whose_topic_no_broker_bears_is_passed_over(
    sqlite_database: Database,
) -> None:
    announced = {
        ("meter", name): Announcement(source=f'{{"state_topic":"{topic}","path":null}}')
        for name, topic in (("good", "meter/state"), ("bad", "meter/state\\n"))
    }
    delivery = Delivery("mqtt", {place: {} for place in announced}, announced=announced)
    with sqlite_database.writing() as connection:
        pool.store(connection, [delivery], devices_max=9, now=1_767_225_600)
    known = KnownDevices(sqlite_database, scheme="mqtt", default_zone=UTC)
    known.refresh()
    assert [sensor.state_topic for sensor in known.sensors()] == ["meter/state"]
