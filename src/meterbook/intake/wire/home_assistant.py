"""
Home Assistant's MQTT discovery, consumed: what any device announces for it is understood here too.

    homeassistant/sensor/[node/]object/config ─► state topic, path to the number, unit, what it is

Of the templates only plain paths into the payload are followed (`{{ value_json.ENERGY.Total }}`): a
template is a program, and no program of a stranger's is run here.
"""

import re
from typing import Any

import msgspec

from meterbook.domain.input_mappings import Mapping
from meterbook.inputs.deliveries import (
    Announcement,
    SamplesError,
    Series,
    add_sample,
    clean_unit,
    require_names,
)
from meterbook.intake.wire.mqtt_messages import MessageSamples
from meterbook.intake.wire.thingsboard import decoded

SENSORS_MAX = 10_000  # announced at once; bounds what a flood of announcements takes
TOPIC_CHARACTERS_MAX = 512  # as of a device's name
TOPIC_LEVELS_MAX = 100  # EMQX allows 128, Mosquitto 200
OUR_IDS = "meterbook_"
_TEMPLATE = re.compile(
    r"\{\{\s*value(?P<json>_json)?(?P<path>(?:\.[A-Za-z_]\w*|\[(?:'[^'\]]+'|\"[^\"\]]+\"|\d+)\])*)"
    r"\s*(?:\|\s*(?:float|int|round)\s*(?:\(\s*-?\d*\s*\))?\s*)*\}\}"
)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\['([^'\]]+)'\]|\[\"([^\"\]]+)\"\]|\[(\d+)\]")
_COUNTERS = frozenset({"total", "total_increasing"})
_SHORT = {
    "state_topic": "stat_t",
    "value_template": "val_tpl",
    "unit_of_measurement": "unit_of_meas",
    "device_class": "dev_cla",
    "state_class": "stat_cla",
    "unique_id": "uniq_id",
    "device": "dev",
    "identifiers": "ids",
}


class _Source(msgspec.Struct):
    state_topic: str
    path: tuple[str | int, ...] | None


class Sensor(msgspec.Struct, frozen=True):
    """One announced number."""

    state_topic: str
    device: str
    name: str
    path: tuple[str | int, ...] | None
    """The way into the payload's JSON; None: the payload is the number."""
    unit: str | None = None
    suggested: str | None = None

    @property
    def announcement(self) -> Announcement:
        """Return what is kept of it, so that it is known again after a restart."""
        source = {"state_topic": self.state_topic, "path": self.path}
        return Announcement(self.unit, self.suggested, msgspec.json.encode(source).decode())


def kept_sensor(device: str, name: str, source: str) -> Sensor:
    """Return the sensor that was announced before, from what is kept of it."""
    kept = msgspec.json.decode(source, type=_Source)
    return Sensor(kept.state_topic, device, name, kept.path)


def is_state_topic(text: str) -> bool:
    """
    Say whether every broker lets one subscribe to it.

    Mosquitto ends the connection of who asks for one with control characters, or too deep.
    """
    return (
        0 < len(text) <= TOPIC_CHARACTERS_MAX
        and text.count("/") < TOPIC_LEVELS_MAX
        and text.isprintable()
        and not {"#", "+"} & set(text)
    )


def announced_sensor(topic: str, payload: bytes) -> Sensor | None:
    """
    Return what a discovery message announces; None for what is no sensor, ours, or a farewell.

    :raises SamplesError: if it is not what discovery messages are.
    """
    levels = topic.split("/")
    if "sensor" not in levels[:-2] or not payload.strip():
        return None
    content = decoded(payload)
    if not isinstance(content, dict):
        raise SamplesError("a discovery message must be an object")
    unique_id = _text(content, "unique_id") or ""
    if unique_id.startswith(OUR_IDS):
        return None
    state_topic = _text(content, "state_topic")
    if state_topic is None:
        raise SamplesError("a discovery message without state topic")
    base = content.get("~")
    if isinstance(base, str):
        state_topic = state_topic.replace("~", base)
    if not is_state_topic(state_topic):
        raise SamplesError("a discovery message whose state topic is none")
    path = _path(_text(content, "value_template"))
    device, name = f"homeassistant/{_device_id(content) or levels[-3]}", unique_id or levels[-2]
    require_names(device, name)
    return Sensor(
        state_topic,
        device,
        name,
        path,
        clean_unit(_text(content, "unit_of_measurement")),
        _suggested(content),
    )


def sensor_samples(sensors: list[Sensor], payload: bytes, *, now_ms: int) -> MessageSamples:
    """
    Return what a state message says of the sensors that were announced for its topic.

    :raises SamplesError: if it is not JSON though the announcement says so.
    """
    series: Series = {}
    content: Any = None
    if any(sensor.path is not None for sensor in sensors):
        content = decoded(payload)
    for sensor in sensors:
        number = (
            payload.decode("utf-8", "replace")
            if sensor.path is None
            else _followed(content, sensor.path)
        )
        add_sample(series, sensor.device, sensor.name, now_ms, number)
    return MessageSamples(series, has_time=False)


def _path(template: str | None) -> tuple[str | int, ...] | None:
    if template is None:
        return None
    found = _TEMPLATE.fullmatch(template.strip())
    if not found or (found["path"] and not found["json"]):
        raise SamplesError("a value template that is no plain path")
    if not found["json"]:
        return None
    steps = _STEP.findall(found["path"])
    return tuple(int(step[3]) if step[3] else step[0] or step[1] or step[2] for step in steps)


def _followed(content: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        is_there = (isinstance(content, dict) and step in content) or (
            isinstance(content, list) and isinstance(step, int) and step < len(content)
        )
        if not is_there:
            return None
        content = content[step]
    return content


def _suggested(content: dict[str, Any]) -> str | None:
    state_class = _text(content, "state_class")
    if _text(content, "device_class") == "energy" and state_class in _COUNTERS:
        return Mapping.COUNTER
    return Mapping.MOMENTARY if state_class == "measurement" else None


def _device_id(content: dict[str, Any]) -> str | None:
    device = content.get("device", content.get("dev"))
    ids = device.get("identifiers", device.get("ids")) if isinstance(device, dict) else None
    first = ids[0] if isinstance(ids, list) and ids else ids
    return first if isinstance(first, str) and first else None


def _text(content: dict[str, Any], name: str) -> str | None:
    item = content.get(name, content.get(_SHORT[name]))
    return item if isinstance(item, str) and item else None
