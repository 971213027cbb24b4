"""What Home Assistant's energy dashboard needs of a meter: totals it may add up, both ways."""

import json
from typing import Any

from books import record_packets
from callers import signed_in
from meterbook.domain.input_mappings import Mapping
from meterbook.domain.readings import Flow
from meterbook.inputs import pool
from meterbook.inputs.claims import InputClaim, claim_input
from meterbook.inputs.deliveries import Delivery
from meterbook.inputs.owned_devices import change_device
from meterbook.inputs.recording import record_input
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.publish_figures import Publisher
from meterbook.registry.meter_points import claim_meter
from meterbook.storage.database import Database

METER = 271_828
FIRST = 1_767_225_600
NOW = FIRST + 86_400


def published(database: Database) -> dict[str, Any]:
    publisher = Publisher(
        database, meter_ids=[METER], prefix="mb", discovery_prefix="homeassistant", every_s=1
    )
    return {item.topic: json.loads(item.payload) for item in publisher.publications(now=NOW)}


def feed_in(database: Database) -> None:
    """Let a device of the meter's owner count what is fed in, 100 Wh in each half-hour."""
    account, _ = signed_in(database, "anna")
    with database.writing() as connection:
        fields = {"user": account.id}
        claim_meter(connection, meter_id=METER, fields=fields, default_zone="UTC", by=None, now=NOW)
        samples = {(FIRST + 1800 * i) * 1000: i * 100_000 for i in range(5)}
        pool.store(
            connection, [Delivery("mqtt", {("roof", "out"): samples})], devices_max=9, now=NOW
        )
        change_device(connection, device_id=1, account_id=None, changes=fields, by=None, now=NOW)
        claim_input(
            connection,
            device_id=1,
            input_id=1,
            account_id=account.id,
            claim=InputClaim(Mapping.COUNTER, "kWh", flow=Flow.EXPORT, meter_id=METER),
            default_zone="UTC",
            by=account.id,
            now=NOW,
        )
    record_input(database, input_id=1, now=NOW)


def test_a_meter_is_announced_with_what_the_energy_dashboard_asks_for(database: Database) -> None:
    record_packets(database, [Packet(METER, FIRST + 1860, 500), Packet(METER, FIRST + 3660, 250)])
    found = published(database)
    node = f"homeassistant/sensor/meterbook_{METER:09d}"
    assert set(found) == {f"{node}/total/config", f"{node}/interval/config", f"mb/meters/{METER}"}
    total = found[f"{node}/total/config"]
    assert (total["device_class"], total["state_class"], total["unit_of_measurement"]) == (
        "energy", "total", "kWh",
    )  # fmt: skip
    assert "last_reset_value_template" not in total
    assert "object_id" not in total
    assert "state_class" not in found[f"{node}/interval/config"]
    state = found[f"mb/meters/{METER}"]
    assert (state["total_kWh"], state["interval_kWh"]) == (0.75, 0.25)


def test_what_is_fed_in_is_a_sensor_of_its_own(database: Database) -> None:
    record_packets(database, [Packet(METER, FIRST + 1860, 500)])
    feed_in(database)
    found = published(database)
    node = f"homeassistant/sensor/meterbook_{METER:09d}"
    exported = found[f"{node}/export_total/config"]
    assert exported["value_template"] == "{{ value_json.export_total_kWh }}"
    assert exported["state_class"] == "total"
    state = found[f"mb/meters/{METER}"]
    assert (state["total_kWh"], state["export_total_kWh"]) == (0.5, 0.4)
    assert state["export_interval_kWh"] == 0.1
    ids = [item["unique_id"] for topic, item in found.items() if topic.endswith("/config")]
    assert len(set(ids)) == len(ids) == 4
