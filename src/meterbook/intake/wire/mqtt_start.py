"""From the settings of MQTT to what runs; says in one line which of them cannot be."""

from collections.abc import Callable
from typing import TypeVar

from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.intake.wire.mqtt import MqttPlan
from meterbook.intake.wire.mqtt_client import broker_of

METERS_MAX = 1_000  # published: each asks for its total once a minute
Found = TypeVar("Found")


class MqttSettingError(ValueError):
    """A setting of MQTT that cannot be; names it."""


def mqtt_plan(
    *,
    url: str,
    client_id: str,
    ca_file: str,
    topics: str,
    prefix: str,
    discovery_prefix: str,
    publish_meters: str,
) -> tuple[MqttPlan, list[int]]:
    """
    Return what to listen to and which meters to publish.

    :raises MqttSettingError: naming the setting that cannot be.
    """
    broker = _checked("mqtt_url", lambda: broker_of(url, client_id=client_id, ca_file=ca_file))
    if not client_id:
        raise MqttSettingError("mqtt_client_id: a persistent session needs a name")
    for name, text in (("mqtt_prefix", prefix), ("mqtt_discovery_prefix", discovery_prefix)):
        if not text or any(mark in text for mark in "#+\x00"):
            raise MqttSettingError(f"{name}: must be a topic")
    meters = _checked(
        "mqtt_publish_meters", lambda: [meter_id(part) for part in _parts(publish_meters)]
    )
    if len(meters) > METERS_MAX:
        raise MqttSettingError(f"mqtt_publish_meters: at most {METERS_MAX}")
    return MqttPlan(broker, _parts(topics), prefix, discovery_prefix), meters


def _checked(name: str, make: Callable[[], Found]) -> Found:
    try:
        return make()
    except (ValueError, MeterIdError) as error:
        raise MqttSettingError(f"{name}: {error}") from None


def _parts(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]
