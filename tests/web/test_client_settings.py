"""The settings that pages offer for copying are those of the guide."""

from pathlib import Path

import pytest

from meterbook.registry.device_keys import KeyForm
from meterbook.web.devices.client_settings import Here, settings_of_broker, settings_of_key

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "wire.md").read_text(encoding="utf-8")
HERE = Here(
    url="http://meterbook.example:8000",
    host="meterbook.example",
    port=8000,
    is_encrypted=False,
    broker_host="broker.example",
    broker_port=1883,
)
KEYS = {
    KeyForm.HEX32: "0123456789abcdef0123456789abcdef",
    KeyForm.UUID: "f0e9571a-45d9-45f0-8ae1-e528c01f82ba",
}
OFFERED = {
    one.client: one.text
    for form, key in KEYS.items()
    for one in settings_of_key(form, key=key, user=7, here=HERE)
}


@pytest.mark.parametrize("client", ["emonHub", "Telegraf", "Home Assistant", "vzlogger"])
def test_a_clients_settings_are_those_of_the_guide(client: str) -> None:
    assert f"\n{OFFERED[client]}\n" in GUIDE


def test_without_a_broker_nothing_is_said_of_mqtt() -> None:
    assert [one.client for one in settings_of_broker(HERE)] == [
        "Tasmota",
        "Shelly",
        "mosquitto_pub",
    ]
    assert settings_of_broker(Here("http://localhost:1", "localhost", 1, is_encrypted=False)) == []
