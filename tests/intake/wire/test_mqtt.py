"""Messages through a real Mosquitto, by mosquitto_pub and aiomqtt, into a started server."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from brokers import Mosquitto, running_broker
from device_owners import samples_of
from meterbook.domain.local_days import utc_text
from meterbook.storage.database import Database
from meterbook.storage.device_tables import device_inputs
from meterbook.storage.tables import daybook
from servers import running_server

NOW = int(time.time())
METER = 314_159
WAIT_S_MAX = 30


def wait_for(there: Callable[[], Any]) -> Any:
    end = time.monotonic() + WAIT_S_MAX
    while not there() and time.monotonic() < end:
        time.sleep(0.05)
    return there()


@pytest.fixture(scope="module")
def broker(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mosquitto]:
    """Give a broker for each engine: the session and what is retained are of one book."""
    with running_broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture(scope="module")
def book(
    broker: Mosquitto, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Give the database of a server that listens to the broker and publishes a meter."""
    settings = {"mqtt_url": broker.url, "mqtt_publish_meters": str(METER)}
    settings["mqtt_publish_seconds"] = "1"
    folder = tmp_path_factory.mktemp("data")
    broker.publish("emon/stale/old", "77", retain=True)
    with running_server(folder, database_url=module_database_url, settings=settings):
        database = Database(module_database_url)
        # It listens once it answers.
        wait_for(lambda: answered(broker, database))
        yield database
        database.close()


def answered(broker: Mosquitto, database: Database) -> bool:
    broker.publish("emon/first/answer", "1")
    time.sleep(0.1)
    return bool(samples_of(database, "mqtt", "emon/first"))


def test_mosquitto_pubs_messages_are_stored(broker: Mosquitto, book: Database) -> None:
    local = datetime.fromtimestamp(NOW - 30, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    broker.publish("emon/hub/power", "230.5")
    broker.publish("emon/hub2", "1,2.5,null")
    broker.publish("emon/hub3", json.dumps({"energy": 7, "time": NOW - 5}), qos=0)
    broker.publish("tele/plug/SENSOR", json.dumps({"Time": local, "ENERGY": {"Total": 12.345}}))
    broker.publish("tele/plug/LWT", "Online", retain=True)
    broker.publish("shellies/em/emeter/0/total", "1234.5")
    broker.publish("plug/status/switch:0", json.dumps({"id": 0, "aenergy": {"total": 9.5}}))
    assert wait_for(lambda: samples_of(book, "mqtt", "plug"))
    assert samples_of(book, "mqtt", "emon/hub")["power"][0][1] == 230.5
    found = samples_of(book, "mqtt", "emon/hub2")
    assert {name: [number for _, number in kept] for name, kept in found.items()} == {
        "1": [1],
        "2": [2.5],
    }
    assert samples_of(book, "mqtt", "emon/hub3") == {"energy": [((NOW - 5) * 1000, 7)]}
    tasmota = samples_of(book, "mqtt", "tele/plug/SENSOR")
    assert tasmota == {"ENERGY.Total": [((NOW - 30) * 1000, 12.345)]}
    assert samples_of(book, "mqtt", "shellies/em")["emeter.0.total"][0][1] == 1234.5
    with book.reading() as connection:
        known = connection.execute(
            sa.select(device_inputs.c.unit, device_inputs.c.suggested).where(
                device_inputs.c.name == "switch:0.aenergy.total"
            )
        ).one()
    assert tuple(known) == ("Wh", "counter")


def test_a_retained_message_without_a_time_is_no_sample(broker: Mosquitto, book: Database) -> None:
    assert samples_of(book, "mqtt", "emon/stale") == {}


def test_what_can_never_be_stored_does_not_hold_up_what_can(
    broker: Mosquitto, book: Database
) -> None:
    for payload in ("{", "[]", '{"Time": "2099-01-01T00:00:00", "A": 1}', "\x00"):
        broker.publish("tele/broken/SENSOR", payload)
    for i in range(30):
        broker.publish("tele/broken/SENSOR", f"no {i}")
    broker.publish("emon/after/broken", "5")
    assert wait_for(lambda: samples_of(book, "mqtt", "emon/after"))


def test_what_is_announced_for_home_assistant_is_read_as_announced(
    broker: Mosquitto, book: Database
) -> None:
    announced = {
        "state_topic": "zigbee2mqtt/meter",
        "value_template": "{{ value_json.energy }}",
        "unit_of_measurement": "kWh",
        "device_class": "energy",
        "state_class": "total_increasing",
        "unique_id": "0xabc_energy",
        "device": {"identifiers": ["zigbee2mqtt_0xabc"]},
    }
    broker.publish("homeassistant/sensor/0xabc/energy/config", json.dumps(announced), retain=True)
    device = "homeassistant/zigbee2mqtt_0xabc"

    def came() -> object:
        broker.publish("zigbee2mqtt/meter", json.dumps({"energy": 55.5, "linkquality": 7}))
        time.sleep(0.2)
        return samples_of(book, "mqtt", device)

    found = wait_for(came)
    assert list(found) == ["0xabc_energy"]
    assert {number for _, number in found["0xabc_energy"]} == {55.5}


def test_a_packet_by_message_counts_and_its_total_is_published_for_home_assistant(
    broker: Mosquitto, book: Database
) -> None:
    stamp = NOW - NOW % 1800 + 60

    async def exchange() -> dict[str, Any]:
        async with broker.client(identifier="tester") as client:
            await client.subscribe("homeassistant/sensor/#", qos=1)
            await client.subscribe(f"meterbook/meters/{METER}", qos=1)
            await client.subscribe("meterbook/status", qos=1)
            for packet in (
                {"id": METER, "timestamp": utc_text(stamp - 1800), "reading_kWh": 1.25},
                {"id": METER, "timestamp": utc_text(stamp - 3600), "reading_kWh": 0.5},
                {"id": METER, "timestamp": utc_text(stamp - 3600), "reading_kWh": 0.5},
                {"id": METER, "timestamp": "never", "reading_kWh": 0.5},
            ):
                await client.publish("meterbook/packets", json.dumps(packet), qos=1)
            seen: dict[str, Any] = {}
            async with asyncio.timeout(100):
                async for message in client.messages:
                    payload = bytes(message.payload)
                    seen[str(message.topic)] = payload
                    state = json.loads(seen.get(f"meterbook/meters/{METER}", b"{}"))
                    if state.get("total_kWh") == 1.75 and "meterbook/status" in seen:
                        return seen
        return {}

    seen = asyncio.run(exchange())
    assert seen["meterbook/status"] == b"online"
    state = json.loads(seen[f"meterbook/meters/{METER}"])
    assert state["interval_kWh"] == 1.25
    assert state["starts_at"] == utc_text(stamp - 60 - 3600)
    config = json.loads(seen[f"homeassistant/sensor/meterbook_{METER:09d}/total/config"])
    assert config["state_class"] == "total"  # may fall by a correction, so no `last_reset`
    assert config["default_entity_id"] == f"sensor.{config['unique_id']}"
    assert config["value_template"] == "{{ value_json.total_kWh }}"
    assert config["device_class"] == "energy"
    assert config["unit_of_measurement"] == "kWh"
    assert config["state_topic"] == f"meterbook/meters/{METER}"
    assert config["availability_topic"] == "meterbook/status"
    with book.reading() as connection:
        energies = connection.scalars(sa.select(daybook.c.amount).order_by(daybook.c.amount)).all()
    assert energies == [500, 1250]
