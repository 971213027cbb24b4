"""
MQTT: messages become samples, and are acknowledged when those are on disk.

    broker ─QoS 1─► parse ─► GroupCommit ─► committed ─► PUBACK

The session is persistent: what arrives while nobody is here waits at the broker, and what was not
acknowledged is sent again. One of many processes runs it, the one that holds the lease. What can
never be stored (no JSON, a stamp of next year) is acknowledged, counted and logged, because sending
it again would not make it better; what the database cannot store now is tried until it can.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import aiomqtt
import msgspec
import structlog

from meterbook.inputs.deliveries import Delivery, Outcome, PoolFull, SamplesError
from meterbook.intake.group_commit import GroupCommit, QueueFullError
from meterbook.intake.packet_fields import PacketFieldsError, PacketLimits, decode_packet
from meterbook.intake.recorder import PACKETS, Answer, Arrival, CannotStoreError
from meterbook.intake.wire.home_assistant import (
    SENSORS_MAX,
    Sensor,
    announced_sensor,
    sensor_samples,
)
from meterbook.intake.wire.known_devices import KnownDevices
from meterbook.intake.wire.mqtt_client import Broker, Connection
from meterbook.intake.wire.mqtt_messages import MessageSamples, message_samples
from meterbook.intake.wire.pool_recorder import DELIVERIES

SCHEME = "mqtt"
IN_FLIGHT_MAX = 1_000  # messages between receipt and commit
PAUSE_S_MIN, PAUSE_S_MAX = 1.0, 60.0
LEASE_CHECK_S = 4.0
LOOK_S = 1.0  # at the connection
LEASE_S = 12  # a process that was killed is followed after at most that
Publish = Callable[[str, bytes], Awaitable[None]]
_log = structlog.get_logger()


class MqttPlan(msgspec.Struct, frozen=True):
    """What to listen to."""

    broker: Broker
    topics: Sequence[str]
    prefix: str
    """Of our own topics: PREFIX/packets is listened to."""
    discovery_prefix: str


class MqttIntake:
    """Listens to one broker."""

    def __init__(
        self,
        plan: MqttPlan,
        *,
        deliveries: GroupCommit[Delivery, Outcome],
        packets: GroupCommit[Arrival, Answer],
        limits: PacketLimits,
        known: KnownDevices,
        may_run: Callable[[], bool],
        publish: Callable[[Publish], Awaitable[None]],
    ) -> None:
        """
        Prepare; `run` connects.

        :param may_run: takes or renews the lease.
        :param publish: runs as long as the connection lasts.
        """
        self._plan = plan
        self._deliveries = deliveries
        self._packets = packets
        self._limits = limits
        self._known = known
        self._may_run = may_run
        self._publish = publish
        self._sensors: dict[str, dict[tuple[str, str], Sensor]] = {}
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen until cancelled; come back after every loss of the broker."""
        pause_s = PAUSE_S_MIN
        while True:
            if not await self._is_ours():
                await asyncio.sleep(LEASE_CHECK_S)
                continue
            began = time.monotonic()
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError) as error:
                _log.warning("broker lost", error=type(error).__name__, reason=str(error)[:200])
            except Exception as error:  # noqa: BLE001 whatever it was, the next session may go well
                _log.error("listening broke", error=repr(error)[:500])
            if time.monotonic() - began > PAUSE_S_MAX:
                pause_s = PAUSE_S_MIN
            # Spread out, so that a broker that comes back is not met by everybody at once.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 nothing secret
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _session(self) -> None:
        status = f"{self._plan.prefix}/status"
        # Known before the first message: what waited at the broker is read as it was announced.
        for sensor in self._known.sensors():
            self._remember(sensor)
        async with Connection(self._plan.broker, will_topic=status) as connection:
            _log.info("broker connected", host=self._plan.broker.host)
            aside = [
                asyncio.ensure_future(self._publish(connection.publish_retained)),
                asyncio.create_task(self._keep_lease()),
                asyncio.create_task(_watch(connection)),
                asyncio.create_task(self._subscribe(connection, status)),
                asyncio.create_task(self._listen(connection)),
            ]
            try:
                done, _ = await asyncio.wait(aside, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                for task in (*aside, *self._tasks):
                    task.cancel()
                await asyncio.gather(*aside, *self._tasks, return_exceptions=True)

    async def _subscribe(self, connection: Connection, status: str) -> None:
        discovery = self._plan.discovery_prefix
        wanted = [
            *self._plan.topics,
            f"{self._plan.prefix}/packets",
            f"{discovery}/+/+/config",
            f"{discovery}/+/+/+/config",
        ]
        await connection.subscribe([(topic, 1) for topic in dict.fromkeys(wanted)])
        for topic in self._sensors:
            await connection.subscribe(topic, qos=1)
        _log.info("topics subscribed")
        await connection.publish_retained(status, b"online")

    async def _keep_lease(self) -> None:
        while await self._is_ours():  # noqa: ASYNC110 the lease runs out with time, not by an event
            await asyncio.sleep(LEASE_CHECK_S)
        raise aiomqtt.MqttError("another process listens now")

    async def _is_ours(self) -> bool:
        try:
            if not await asyncio.to_thread(self._may_run):
                return False
            await asyncio.to_thread(self._known.refresh)
        except Exception as error:  # noqa: BLE001 the database is away: not ours
            _log.warning("no lease", error=type(error).__name__)
            return False
        return True

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.messages:
            await self._room.acquire()
            task = asyncio.create_task(self._take(connection, message))
            self._tasks.add(task)
            task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()):
            _log.error("message not stored", error=type(error).__name__)

    async def _take(self, connection: Connection, message: aiomqtt.Message) -> None:
        topic = str(message.topic)
        is_again = connection.is_again(message)
        try:
            if topic == f"{self._plan.prefix}/packets":
                await self._take_packet(message)
            elif self._is_discovery(topic):
                await self._discover(connection, topic, message.payload)
            else:
                await self._take_samples(topic, message, is_again=is_again)
        except (SamplesError, PacketFieldsError) as error:
            DELIVERIES.labels(SCHEME, "rejected").inc()
            _log.info("message refused", topic=topic[:200], reason=str(error)[:200])
        connection.acknowledge(message)

    async def _take_packet(self, message: aiomqtt.Message) -> None:
        try:
            packet = decode_packet(message.payload, now=int(time.time()), limits=self._limits)
        except PacketFieldsError:
            PACKETS.labels("rejected").inc()
            raise
        await _until_stored(lambda: self._packets.add(Arrival(packet, None)))

    async def _take_samples(self, topic: str, message: aiomqtt.Message, *, is_again: bool) -> None:
        found = self._samples(topic, message.payload)
        if found is None or (message.retain and not found.has_time):
            return
        await self._keep(
            Delivery(
                SCHEME,
                found.series,
                is_again=is_again and not found.has_time,
                announced=found.announced,
            )
        )

    async def _keep(self, delivery: Delivery) -> None:
        outcome = await _until_stored(lambda: self._deliveries.add(delivery))
        if isinstance(outcome, PoolFull):
            raise SamplesError(outcome.reason)

    def _samples(self, topic: str, payload: bytes) -> MessageSamples | None:
        now_ms = time.time_ns() // 1_000_000
        if announced := self._sensors.get(topic):
            return sensor_samples(list(announced.values()), payload, now_ms=now_ms)
        return message_samples(topic, payload, now_ms=now_ms, zone_of=self._known.zone_of)

    def _is_discovery(self, topic: str) -> bool:
        return topic.startswith(f"{self._plan.discovery_prefix}/") and topic.endswith("/config")

    async def _discover(self, connection: Connection, topic: str, payload: bytes) -> None:
        sensor = announced_sensor(topic, payload)
        if sensor is None:
            return
        is_new = sensor.state_topic not in self._sensors
        if is_new and len(self._sensors) >= SENSORS_MAX:
            raise SamplesError("too many sensors are announced")
        place = (sensor.device, sensor.name)
        await self._keep(Delivery(SCHEME, {place: {}}, announced={place: sensor.announcement}))
        self._remember(sensor)
        if is_new:
            await connection.subscribe(sensor.state_topic, qos=1)

    def _remember(self, sensor: Sensor) -> None:
        known = self._sensors.setdefault(sensor.state_topic, {})
        known[sensor.device, sensor.name] = sensor


async def _watch(connection: Connection) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        connection.require_broker()


async def _until_stored(add: Callable[[], Awaitable[Outcome | Answer]]) -> Outcome | Answer:
    """Store it now or as soon as the database can; the broker waits for the acknowledgement."""
    pause_s = PAUSE_S_MIN
    while True:
        with suppress(CannotStoreError, QueueFullError):
            return await add()
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)
