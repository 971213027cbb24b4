"""
The connection to the broker: an aiomqtt client that acknowledges only when told to.

Both libraries acknowledge a QoS 1 message as soon as they have handed it over, which would lose it
if the process died before the commit. paho can leave that to its user; aiomqtt has no word for it
yet, so this subclass reaches for the client inside.
"""

import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec

MESSAGES_WAITING_MAX = 10_000
KEEPALIVE_S = 30
TIMEOUT_S = 10
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerUrlError(ValueError):
    """Not an MQTT broker's URL. Never carries the password."""


class Broker(msgspec.Struct, frozen=True):
    """Where the broker is and who we are there."""

    host: str
    port: int
    username: str | None
    password: str | None
    is_tls: bool
    client_id: str
    ca_file: str = ""


def broker_of(url: str, *, client_id: str, ca_file: str = "") -> Broker:
    """
    Return the broker of `mqtt://user:password@host:1883` or `mqtts://...`.

    :raises BrokerUrlError: if it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise BrokerUrlError("must be mqtt://host:port or mqtts://host:port") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BrokerUrlError("must be mqtt://host:port or mqtts://host:port")
    return Broker(
        parts.hostname,
        port,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        parts.scheme == "mqtts",
        client_id,
        ca_file,
    )


class Connection(aiomqtt.Client):
    """A persistent session whose messages are acknowledged late."""

    def __init__(self, broker: Broker, *, will_topic: str) -> None:
        """Prepare; entering it connects."""
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=broker.client_id,
            clean_session=False,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            max_queued_incoming_messages=MESSAGES_WAITING_MAX,
            tls_context=_tls(broker) if broker.is_tls else None,
            will=aiomqtt.Will(will_topic, b"offline", qos=1, retain=True),
        )
        self._client.manual_ack_set(on=True)
        self._again: set[int] = set()

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that the message is on disk, or is none that ever will be."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    def require_broker(self) -> None:
        """
        Look at the socket by ourselves, because the event loop may have let go of it.

        A connection that is reset while an acknowledgement waits to be written can leave neither a
        reader nor a writer behind; paho would notice with its next pings only.

        :raises aiomqtt.MqttError: if the connection is lost.
        """
        outcome = self._client.loop_read()
        if outcome:
            raise aiomqtt.MqttError(f"the connection is lost: {outcome.name}")

    async def publish_retained(self, topic: str, payload: bytes) -> None:
        """Publish for everybody, also for those who subscribe later."""
        await self.publish(topic, payload, qos=1, retain=True)

    def is_again(self, message: aiomqtt.Message) -> bool:
        """Say whether the broker sends it again: it may have been stored before."""
        found = message.mid in self._again
        self._again.discard(message.mid)
        return found

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        if message.dup:
            self._again.add(message.mid)
        super()._on_message(client, userdata, message)


def _tls(broker: Broker) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=broker.ca_file or None)
