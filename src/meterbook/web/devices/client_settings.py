"""
What to type into a device or program so that it sends here, ready to be copied.

The guide `docs/guides/wire.md` has the same with a key made up; a test compares the two.
"""

import json

import msgspec

from meterbook.registry.device_keys import KeyForm

KEY_WANTED = "YOUR-KEY"


class ClientSettings(msgspec.Struct, frozen=True):
    """Settings of one client."""

    client: str
    """As it is called everywhere."""
    place: str
    """The file or menu they belong into."""
    text: str


class Here(msgspec.Struct, frozen=True):
    """Where devices reach this server."""

    url: str
    """Without a slash at its end."""
    host: str
    port: int
    is_encrypted: bool
    broker_host: str = ""
    """Of the broker that is listened to; empty: there is none."""
    broker_port: int = 0


def settings_of_key(form: KeyForm, *, key: str, user: int, here: Here) -> list[ClientSettings]:
    """Return the settings of every client that a key of the form is for."""
    match form:
        case KeyForm.HEX32:
            return [*_of_emoncms(key, user, here), *_of_influxdb(key, here)]
        case KeyForm.TOKEN20:
            return [_of_thingsboard(key, here)]
        case KeyForm.UUID:
            return [_of_vzlogger(key, here)]


def settings_of_broker(here: Here) -> list[ClientSettings]:
    """Return the settings of clients that send over MQTT; none where there is no broker."""
    if not here.broker_host:
        return []
    host, port = here.broker_host, here.broker_port
    return [
        ClientSettings(
            "Tasmota",
            "Console",
            f"Backlog MqttHost {host}; MqttPort {port}; TelePeriod 60",
        ),
        ClientSettings(
            "Shelly",
            "Settings, MQTT",
            f"Server: {host}:{port}\nRPC status notifications over MQTT: on\n"
            "Generic status update over MQTT: on",
        ),
        ClientSettings(
            "mosquitto_pub",
            "Terminal",
            f"mosquitto_pub -h {host} -p {port} -q 1 -t emon/roof/power -m 230.5",
        ),
    ]


def _of_emoncms(key: str, user: int, here: Here) -> list[ClientSettings]:
    return [
        ClientSettings(
            "emonHub",
            "emonhub.conf",
            f"""[[Meterbook]]
    Type = EmonHubEmoncmsHTTPInterfacer
    [[[init_settings]]]
    [[[runtimesettings]]]
        pubchannels = ToRFM12,
        subchannels = ToEmonCMS,
        url = {here.url}
        apikey = {key}
        senddata = 1
        sendstatus = 0
        sendinterval = 30""",
        ),
        ClientSettings(
            "IoTaWatt",
            "Setup, Uploaders, Emoncms",
            f"URL: {here.url}\nAPI key: {key}\nUser ID: {user}\nPost interval: 10\nBulk send: 6",
        ),
        ClientSettings(
            "curl",
            "Terminal",
            f'curl "{here.url}/input/post?apikey={key}&node=roof&csv=230.5"',
        ),
    ]


def _of_influxdb(key: str, here: Here) -> list[ClientSettings]:
    return [
        ClientSettings(
            "Telegraf",
            "telegraf.conf",
            f"""[[outputs.influxdb_v2]]
  urls = ["{here.url}"]
  token = "{key}"
  organization = "any"
  bucket = "telegraf\"""",
        ),
        ClientSettings(
            "Home Assistant",
            "configuration.yaml",
            f"""influxdb:
  api_version: 2
  ssl: {json.dumps(here.is_encrypted)}
  host: {here.host}
  port: {here.port}
  token: {key}
  organization: any
  bucket: homeassistant
  include:
    entity_globs: ["sensor.*energy*", "sensor.*power*"]""",
        ),
        ClientSettings(
            "InfluxDB 1.x",
            "URL, user, password",
            f"{here.url}\nany\n{key}",
        ),
    ]


def _of_thingsboard(key: str, here: Here) -> ClientSettings:
    return ClientSettings(
        "ThingsBoard",
        "Terminal",
        f"curl {here.url}/api/v1/{key}/telemetry "
        "-H 'Content-Type: application/json' -d '{\"energy\": 12.5}'",
    )


def _of_vzlogger(key: str, here: Here) -> ClientSettings:
    return ClientSettings(
        "vzlogger",
        "vzlogger.conf",
        f"""{{"api": "volkszaehler", "uuid": "{key}", "identifier": "1-0:1.8.0",
 "middleware": "{here.url}/middleware.php"}}""",
    )
