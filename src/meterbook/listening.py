"""
Listening to a broker in this process: messages into the pool of inputs, figures out again.

Of many processes on one database one listens: the one that holds the job lease `mqtt`.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import sqlalchemy as sa

from meterbook.domain.local_days import time_zone
from meterbook.inputs.deliveries import Delivery, Outcome
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.packet_fields import PacketLimits
from meterbook.intake.recorder import Answer, Arrival
from meterbook.intake.wire.known_devices import KnownDevices
from meterbook.intake.wire.mqtt import LEASE_S, SCHEME, MqttIntake, MqttPlan
from meterbook.intake.wire.mqtt_start import mqtt_plan
from meterbook.jobs.leases import end_lease, take_lease
from meterbook.jobs.publish_figures import Publisher
from meterbook.settings import Settings
from meterbook.storage.database import Database


class Listening:
    """Listens to the broker of the settings, if there is one."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        deliveries: GroupCommit[Delivery, Outcome],
        packets: GroupCommit[Arrival, Answer],
        limits: PacketLimits,
    ) -> None:
        """
        Prepare; nothing is connected yet.

        :raises MqttSettingError: naming the setting that cannot be.
        """
        self._database = database
        self._holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._intake: MqttIntake | None = None
        if not settings.mqtt_url:
            return
        plan, meter_ids = mqtt_of(settings)
        publisher = Publisher(
            database,
            meter_ids=meter_ids,
            prefix=plan.prefix,
            discovery_prefix=plan.discovery_prefix,
            every_s=max(1, settings.mqtt_publish_seconds),
        )
        zone = time_zone(settings.timezone)
        self._intake = MqttIntake(
            plan,
            deliveries=deliveries,
            packets=packets,
            limits=limits,
            known=KnownDevices(database, scheme=SCHEME, default_zone=zone),
            may_run=self._take_lease,
            publish=publisher.run,
        )

    @asynccontextmanager
    async def running(self, *, is_on: bool) -> AsyncIterator[None]:
        """Listen, if there is a broker and this process is one that may, until the end."""
        if self._intake is None or not is_on:
            yield
            return
        listening = asyncio.create_task(self._intake.run())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            self._end_lease()

    def _take_lease(self) -> bool:
        with self._database.writing() as connection:
            return take_lease(
                connection, job=SCHEME, holder=self._holder, now=int(time.time()), valid_s=LEASE_S
            )

    def _end_lease(self) -> None:
        with suppress(sa.exc.SQLAlchemyError), self._database.writing() as connection:
            end_lease(connection, job=SCHEME, holder=self._holder)


def mqtt_of(settings: Settings) -> tuple[MqttPlan, list[int]]:
    """
    Return what to listen to at the broker, and which meters to publish there.

    :raises MqttSettingError: naming the setting that cannot be.
    """
    return mqtt_plan(
        url=settings.mqtt_url,
        client_id=settings.mqtt_client_id,
        ca_file=settings.mqtt_ca_file,
        topics=settings.mqtt_topics,
        prefix=settings.mqtt_prefix,
        discovery_prefix=settings.mqtt_discovery_prefix,
        publish_meters=settings.mqtt_publish_meters,
    )
