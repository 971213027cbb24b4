"""The broker's listener: what breaks a session does not end it, nor what was announced before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meterbook.inputs import pool
from meterbook.inputs.deliveries import Announcement, Delivery
from meterbook.intake.wire import mqtt
from meterbook.intake.wire.known_devices import KnownDevices
from meterbook.intake.wire.mqtt import MqttIntake
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
