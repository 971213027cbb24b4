"""What messages say: Tasmota, Shelly, emoncms, ThingsBoard, Home Assistant's discovery."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterbook.inputs.deliveries import Announcement, SamplesError
from meterbook.intake.wire.home_assistant import announced_sensor, kept_sensor, sensor_samples
from meterbook.intake.wire.mqtt_client import BrokerUrlError, broker_of
from meterbook.intake.wire.mqtt_messages import MessageSamples, message_samples
from meterbook.intake.wire.mqtt_start import MqttSettingError, mqtt_plan

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
LONDON = ZoneInfo("Europe/London")


def read(topic: str, content: Any, *, now_ms: int = NOW_MS) -> MessageSamples:
    payload = content if isinstance(content, str) else json.dumps(content)
    found = message_samples(topic, payload.encode(), now_ms=now_ms, zone_of=lambda _: LONDON)
    assert found is not None
    return found


def numbers(found: MessageSamples) -> dict[str, dict[int, float]]:
    return {
        f"{device} {name}": {at_ms - NOW_MS: amount / 1e6 for at_ms, amount in samples.items()}
        for (device, name), samples in found.series.items()
    }


@pytest.mark.parametrize(
    ("topic", "content", "kept", "has_time"),
    [
        ("emon/hub/power1", "100.5", {"emon/hub power1": {0: 100.5}}, False),
        ("emon/7/hub/power1", " 1 ", {"emon/7/hub power1": {0: 1}}, False),
        ("emon/hub", "100,,x,-3", {"emon/hub 1": {0: 100}, "emon/hub 4": {0: -3}}, False),
        ("emon/hub", {"a": 1, "time": NOW_MS / 1000 - 9}, {"emon/hub a": {-9000: 1}}, True),
        ("emon/hub", {"a": 1, "b": None, "time": "x"}, {"emon/hub a": {0: 1}}, False),
        (
            "tele/plug/SENSOR",
            {"Time": "2025-12-31T23:59:50", "ENERGY": {"Total": [1.5, 2], "Since": "2023"}},
            {
                "tele/plug/SENSOR ENERGY.Total.1": {-10_000: 1.5},
                "tele/plug/SENSOR ENERGY.Total.2": {-10_000: 2},
                "tele/plug/SENSOR ENERGY.Since": {-10_000: 2023},
            },
            True,
        ),
        ("tele/p/SENSOR", {"Time": "1970-01-01T00:09", "A": 1}, {"tele/p/SENSOR A": {0: 1}}, False),
        ("shellies/em/emeter/0/total", "123.4", {"shellies/em emeter.0.total": {0: 123.4}}, False),
        ("shellies/plug/relay/0/energy", "600", {"shellies/plug relay.0.energy": {0: 600}}, False),
        ("shellies/plug/relay/0/power", "nan", {}, False),
        (
            "home/plug/status/switch:0",
            {"id": 0, "output": True, "apower": 8.9, "aenergy": {"total": 6.5, "by_minute": [1]}},
            {
                "home/plug switch:0.output": {0: 1},
                "home/plug switch:0.apower": {0: 8.9},
                "home/plug switch:0.aenergy.total": {0: 6.5},
            },
            False,
        ),
        (
            "em3/events/rpc",
            {
                "src": "x",
                "method": "NotifyStatus",
                "params": {"ts": NOW_MS / 1000 - 1.5, "emdata:0": {"id": 0, "total_act": 9},
                           "wifi": {"rssi": -60}},
            },
            {"em3 emdata:0.total_act": {-1500: 9}},
            True,
        ),
        ("em3/events/rpc", {"method": "NotifyEvent", "params": {}}, {}, True),
        ("v1/devices/me/telemetry", {"k": 1}, {"v1/devices/me k": {0: 1}}, False),
        (
            "v1/gateway/telemetry",
            {"Dev A": [{"ts": NOW_MS - 5, "values": {"k": 1}}]},
            {"Dev A k": {-5: 1}},
            True,
        ),
    ],
)  # fmt: skip
def test_a_message_says(topic: str, content: Any, kept: dict[str, Any], has_time: bool) -> None:
    found = read(topic, content)
    assert numbers(found) == kept
    assert found.has_time == has_time


@pytest.mark.parametrize(
    ("entries", "has_time"),
    [
        ([{"ts": NOW_MS, "values": {"a": 1}}], True),
        ([{"ts": NOW_MS, "values": {"a": 1}}, {"a": 2}], False),
        ([{"a": 1}], False),
    ],
    ids=["each with a time", "one without", "without"],
)
def test_a_gateways_message_has_a_time_where_each_of_its_entries_has(
    entries: list[dict[str, Any]], has_time: bool
) -> None:
    assert read("v1/gateway/telemetry", {"Dev A": entries}).has_time is has_time


def test_units_are_announced_where_the_device_has_fixed_ones() -> None:
    energy = {"Total": 1.5, "Power": 3, "Factor": 1}
    found = read("tele/p/SENSOR", {"Time": "2025-12-31T23:59:50", "ENERGY": energy})
    assert found.announced == {
        ("tele/p/SENSOR", "ENERGY.Total"): Announcement("kWh", "counter"),
        ("tele/p/SENSOR", "ENERGY.Power"): Announcement("W", "momentary"),
    }
    relay = read("shellies/p/relay/0/energy", "60").announced
    assert relay == {("shellies/p", "relay.0.energy"): Announcement("Wmin", "counter")}
    gen2 = read("p/status/em1data:0", {"total_act_energy": 5}).announced
    assert gen2["p", "em1data:0.total_act_energy"].unit == "Wh"


@pytest.mark.parametrize("hours", [0, 1])
def test_of_two_local_times_in_autumn_the_one_nearer_to_now_is_meant(hours: int) -> None:
    first = 1_761_438_600  # 2025-10-26T00:30Z, 01:30 in London for the first time
    now_ms = (first + 3600 * hours + 5) * 1000
    found = read("tele/p/SENSOR", {"Time": "2025-10-26T01:30:00", "A": 1}, now_ms=now_ms)
    assert list(found.series["tele/p/SENSOR", "A"]) == [(first + 3600 * hours) * 1000]


@pytest.mark.parametrize(
    ("topic", "content"),
    [
        ("tele/p/SENSOR", "[1]"),
        ("tele/p/SENSOR", "{"),
        ("tele/p/SENSOR", {"Time": "2031-01-01T00:00:00", "A": 1}),
        ("p/status/switch:0", "5"),
        ("v1/devices/me/telemetry", "5"),
        ("emon/hub", {"x" * 200: 1}),
    ],
)
def test_what_a_topic_cannot_say_is_refused(topic: str, content: Any) -> None:
    with pytest.raises(SamplesError):
        read(topic, content)


@pytest.mark.parametrize("topic", ["emon", "tele/p/STATE", "a/b/c", "p/status/wifi", "", "/"])
def test_what_is_no_topic_of_ours_is_passed_over(topic: str) -> None:
    assert message_samples(topic, b"1", now_ms=NOW_MS, zone_of=lambda _: LONDON) is None


DISCOVERY = {
    "name": "Energy",
    "stat_t": "~/state",
    "~": "zigbee/plug",
    "val_tpl": "{{ value_json.meter['total kWh'] | float(0) }}",
    "unit_of_meas": "kWh",
    "dev_cla": "energy",
    "stat_cla": "total_increasing",
    "uniq_id": "0x1_energy",
    "dev": {"ids": ["0x1"]},
}


def test_an_announced_sensor_is_read_as_it_was_announced() -> None:
    sensor = announced_sensor(
        "homeassistant/sensor/0x1/energy/config", json.dumps(DISCOVERY).encode()
    )
    assert sensor is not None
    assert sensor.state_topic == "zigbee/plug/state"
    assert sensor.announcement.unit == "kWh"
    assert sensor.announcement.suggested == "counter"
    payload = json.dumps({"meter": {"total kWh": 12.5}}).encode()
    again = kept_sensor(sensor.device, sensor.name, sensor.announcement.source or "")
    for known in (sensor, again):
        found = sensor_samples([known], payload, now_ms=NOW_MS)
        assert numbers(found) == {"homeassistant/0x1 0x1_energy": {0: 12.5}}
    assert sensor_samples([sensor], b'{"meter": 5}', now_ms=NOW_MS).series == {}


@pytest.mark.parametrize(
    ("changes", "topic"),
    [
        ({"uniq_id": "meterbook_1_total"}, "homeassistant/sensor/x/config"),
        ({}, "homeassistant/switch/x/config"),
    ],
)
def test_our_own_announcements_and_what_is_no_sensor_are_passed_over(
    changes: dict[str, Any], topic: str
) -> None:
    assert announced_sensor(topic, json.dumps(DISCOVERY | changes).encode()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"val_tpl": "{% for i in range(999999999) %}{{ i }}{% endfor %}"},
        {"val_tpl": "{{ value_json.a + 1 }}"},
        {"val_tpl": "{{ value.__class__ }}"},
        {"stat_t": "a/#"},
        {"stat_t": None},
        {"uniq_id": "x" * 300},
    ],
)
def test_an_announcement_that_is_no_plain_path_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SamplesError):
        announced_sensor("homeassistant/sensor/x/config", json.dumps(DISCOVERY | changes).encode())


@pytest.mark.parametrize(
    "topic",
    ["meter/state\n", "meter\x01", "meter\x85", "m" * 513, "/".join("m" * 101)],
    ids=["line feed", "control character", "next line", "too long", "too deep"],
)
def test_a_state_topic_for_which_a_broker_would_end_the_connection_is_refused(topic: str) -> None:
    announced = json.dumps(DISCOVERY | {"stat_t": topic}).encode()
    with pytest.raises(SamplesError):
        announced_sensor("homeassistant/sensor/x/config", announced)


@pytest.mark.parametrize(("opening", "closing"), [('{"":', "}"), ("[", "]")])
def test_a_payload_is_looked_into_no_deeper_than_a_name_is_long(opening: str, closing: str) -> None:
    nested = '{"em:0":{"a":' + opening * 300 + "1" + closing * 300 + "}}"
    with pytest.raises(SamplesError, match="nested too deep"):
        read("meter/events/rpc", '{"method":"NotifyStatus","params":' + nested + "}")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        ["emon/a", "emon/a/b", "tele/a/SENSOR", "shellies/a/emeter/0/total", "a/status/em:0",
         "a/events/rpc", "v1/devices/me/telemetry", "v1/gateway/telemetry"]
    ),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["Time", "ts", "values", "params", "method"]),
            inner,
            max_size=3,
        ),
    ).map(lambda content: json.dumps(content).encode()),
)  # fmt: skip
def test_no_payload_is_anything_but_samples_or_a_reason(topic: str, payload: bytes) -> None:
    for parse in (
        lambda: message_samples(topic, payload, now_ms=NOW_MS, zone_of=lambda _: LONDON),
        lambda: announced_sensor("homeassistant/sensor/x/config", payload),
    ):
        try:
            parse()
        except SamplesError as error:
            said = str(error)
            continue
        said = "read"
    assert said


def test_a_brokers_url_is_read() -> None:
    broker = broker_of("mqtts://me:p%40ss@broker.example", client_id="m")
    assert (broker.host, broker.port, broker.username) == ("broker.example", 8883, "me")
    assert (broker.password, broker.is_tls) == ("p@ss", True)
    for wrong in ("http://x", "mqtt://", "mqtt://x:y", "x"):
        with pytest.raises(BrokerUrlError):
            broker_of(wrong, client_id="m")


@pytest.mark.parametrize(
    ("name", "text"),
    [("url", "x"), ("client_id", ""), ("prefix", "a/#"), ("publish_meters", "1, x")],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    settings_given = {
        "url": "mqtt://x", "client_id": "m", "ca_file": "", "topics": "", "prefix": "p",
        "discovery_prefix": "d", "publish_meters": "",
    }  # fmt: skip
    with pytest.raises(MqttSettingError, match=f"mqtt_{name}"):
        mqtt_plan(**(settings_given | {name: text}))
