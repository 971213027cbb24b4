"""
A meter as Home Assistant sees it over MQTT: announced once, its total published now and then.

The total is `state_class: total`, not `total_increasing`: a correction may lower it, which Home
Assistant would otherwise take for a meter that began at zero again and count twice.
"""

import msgspec

from meterbook import __version__
from meterbook.domain.local_days import utc_text
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.meter_places import MeterPlace
from meterbook.queries.meter_totals import MeterTotal


class Publication(msgspec.Struct, frozen=True):
    """One message to publish, retained."""

    topic: str
    payload: bytes


def announcements(place: MeterPlace, *, prefix: str, discovery_prefix: str) -> list[Publication]:
    """Return what tells Home Assistant of the meter: its total, and its last interval."""
    shown = f"{place.meter_id:09d}"
    device = {
        "identifiers": [f"meterbook_{shown}"],
        "name": place.name or f"Meter {shown[:3]}-{shown[3:6]}-{shown[6:]}",
        "manufacturer": "Meterbook",
        "sw_version": __version__,
    }
    found = []
    for name, called, path, state_class in (
        ("total", "Energy", "total_kWh", "total"),
        ("interval", "Last interval", "interval_kWh", None),
    ):
        body = {
            "name": called,
            "unique_id": f"meterbook_{shown}_{name}",
            "object_id": f"meterbook_{shown}_{name}",
            "state_topic": state_topic(place, prefix=prefix),
            "value_template": f"{{{{ value_json.{path} }}}}",
            "unit_of_measurement": "kWh",
            "device_class": "energy",
            "availability_topic": f"{prefix}/status",
            "device": device,
        }
        if state_class is not None:
            body["state_class"] = state_class
        topic = f"{discovery_prefix}/sensor/meterbook_{shown}/{name}/config"
        found.append(Publication(topic, msgspec.json.encode(body)))
    return found


def state(place: MeterPlace, total: MeterTotal, *, prefix: str) -> Publication:
    """Return the meter's figures."""
    newest = total.last_starts_at
    body = {
        "meter_id": place.meter_id,
        "total_kWh": wh_to_kwh(total.total_wh),
        "interval_kWh": None if total.last_wh is None else wh_to_kwh(total.last_wh),
        "starts_at": None if newest is None else utc_text(newest),
        "interval_s": place.interval_s,
    }
    return Publication(state_topic(place, prefix=prefix), msgspec.json.encode(body))


def state_topic(place: MeterPlace, *, prefix: str) -> str:
    """Return where the meter's figures are published."""
    return f"{prefix}/meters/{place.meter_id}"
