"""
The broker's listener of this process: what messages bring goes into the books, figures go out.

Of many processes on one database one listens: the one that holds the job lease `mqtt`.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from meterbook.inputs.deliveries import Delivery, Outcome
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.packet_fields import PacketLimits
from meterbook.intake.recorder import Answer, Arrival
from meterbook.intake.wire.known_devices import KnownDevices
from meterbook.intake.wire.mqtt import LEASE_S, SCHEME, MqttIntake
from meterbook.intake.wire.mqtt_start import mqtt_plan
from meterbook.jobs.leases import end_lease, take_lease
from meterbook.jobs.publish_figures import Publisher
from meterbook.storage.database import Database


class Listening:
    """Listens to one broker, if there is one."""

    def __init__(
        self,
        database: Database,
        *,
        mqtt: dict[str, str],
        publish_every_s: int,
        deliveries: GroupCommit[Delivery, Outcome],
        packets: GroupCommit[Arrival, Answer],
        limits: PacketLimits,
        default_zone: ZoneInfo,
    ) -> None:
        """
        Prepare; nothing is connected yet.

        :param mqtt: the settings as `mqtt_plan` takes them; an empty `url`: no broker.
        :raises MqttSettingError: if one of them cannot be.
        """
        self._database = database
        self._plan = mqtt_plan(**mqtt) if mqtt["url"] else None
        self._publish_every_s = publish_every_s
        self._deliveries = deliveries
        self._packets = packets
        self._limits = limits
        self._default_zone = default_zone
        self._holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._listener: asyncio.Task[None] | None = None

    @property
    def broker_address(self) -> tuple[str, int]:
        """Host and port of the broker; empty where there is none."""
        if self._plan is None:
            return "", 0
        broker = self._plan[0].broker
        return broker.host, broker.port

    @asynccontextmanager
    async def running(self, *, is_on: bool) -> AsyncIterator[None]:
        """Listen, if this process is one that may, until the end."""
        if not is_on or self._plan is None:
            yield
            return
        plan, meter_ids = self._plan
        publisher = Publisher(
            self._database,
            meter_ids=meter_ids,
            prefix=plan.prefix,
            discovery_prefix=plan.discovery_prefix,
            every_s=max(1, self._publish_every_s),
        )
        intake = MqttIntake(
            plan,
            deliveries=self._deliveries,
            packets=self._packets,
            limits=self._limits,
            known=KnownDevices(self._database, scheme=SCHEME, default_zone=self._default_zone),
            may_run=self._may_run,
            publish=publisher.run,
        )
        self._listener = asyncio.create_task(self._listen(intake))
        try:
            yield
        finally:
            self.hand_over()
            await asyncio.gather(self._listener, return_exceptions=True)

    def hand_over(self) -> None:
        """Stop listening, for good, and let another process take the lease at once."""
        if self._listener is not None and not self._listener.cancelling():
            self._listener.cancel()

    async def _listen(self, intake: MqttIntake) -> None:
        try:
            await intake.run()
        finally:
            with suppress(sa.exc.SQLAlchemyError):
                await asyncio.to_thread(self._give_up)

    def _give_up(self) -> None:
        with self._database.writing() as connection:
            end_lease(connection, job=SCHEME, holder=self._holder)

    def _may_run(self) -> bool:
        with self._database.writing() as connection:
            return take_lease(
                connection, job=SCHEME, holder=self._holder, now=int(time.time()), valid_s=LEASE_S
            )
