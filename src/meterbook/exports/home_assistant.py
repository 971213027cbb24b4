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


_SENSORS = (
    ("total", "Energy", "total_kWh", "total"),
    ("interval", "Last interval", "interval_kWh", None),
)
_EXPORT_SENSORS = (
    ("export_total", "Energy fed in", "export_total_kWh", "total"),
    ("export_interval", "Last interval fed in", "export_interval_kWh", None),
)


def announcements(
    place: MeterPlace, *, exports: bool, prefix: str, discovery_prefix: str
) -> list[Publication]:
    """
    Return what tells Home Assistant of the meter: its totals, and its last intervals.

    :param exports: whether it also counts what is fed in.
    """
    shown = f"{place.meter_id:09d}"
    shared = {
        "state_topic": state_topic(place, prefix=prefix),
        "unit_of_measurement": "kWh",
        "device_class": "energy",
        "availability_topic": f"{prefix}/status",
        "device": {
            "identifiers": [f"meterbook_{shown}"],
            "name": place.name or f"Meter {shown[:3]}-{shown[3:6]}-{shown[6:]}",
            "manufacturer": "Meterbook",
            "sw_version": __version__,
        },
        "origin": {"name": "Meterbook", "sw_version": __version__},
    }
    found = []
    for name, called, path, state_class in _SENSORS + (_EXPORT_SENSORS if exports else ()):
        body = shared | {
            "name": called,
            "unique_id": f"meterbook_{shown}_{name}",
            "default_entity_id": f"sensor.meterbook_{shown}_{name}",
            "value_template": f"{{{{ value_json.{path} }}}}",
        }
        if state_class is not None:
            body["state_class"] = state_class
        topic = f"{discovery_prefix}/sensor/meterbook_{shown}/{name}/config"
        found.append(Publication(topic, msgspec.json.encode(body)))
    return found


def state(
    place: MeterPlace, total: MeterTotal, *, exported: MeterTotal | None, prefix: str
) -> Publication:
    """
    Return the meter's figures.

    :param exported: what it has fed in; None: it does not count that.
    """
    newest = total.last_starts_at
    body = {
        "meter_id": place.meter_id,
        "total_kWh": wh_to_kwh(total.total_wh),
        "interval_kWh": _kwh(total.last_wh),
        "starts_at": None if newest is None else utc_text(newest),
        "interval_s": place.interval_s,
    }
    if exported is not None:
        body |= {
            "export_total_kWh": wh_to_kwh(exported.total_wh),
            "export_interval_kWh": _kwh(exported.last_wh),
        }
    return Publication(state_topic(place, prefix=prefix), msgspec.json.encode(body))


def _kwh(energy_wh: int | None) -> float | None:
    return None if energy_wh is None else wh_to_kwh(energy_wh)


def state_topic(place: MeterPlace, *, prefix: str) -> str:
    """Return where the meter's figures are published."""
    return f"{prefix}/meters/{place.meter_id}"
