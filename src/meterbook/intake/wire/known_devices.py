"""What the broker's listener must know of devices: their zones, and how announced ones speak."""

from zoneinfo import ZoneInfo

import sqlalchemy as sa

from meterbook.domain.local_days import time_zone
from meterbook.intake.wire.home_assistant import Sensor, is_state_topic, kept_sensor
from meterbook.storage.database import Database
from meterbook.storage.device_tables import device_inputs, devices


class KnownDevices:
    """Reads it now and then; a changed zone counts from the next reading on."""

    def __init__(self, database: Database, *, scheme: str, default_zone: ZoneInfo) -> None:
        """Prepare; `refresh` reads."""
        self._database = database
        self._scheme = scheme
        self._default_zone = default_zone
        self._zones: dict[str, ZoneInfo] = {}
        self._sensors: list[Sensor] = []

    def refresh(self) -> None:
        """Read from the database."""
        with self._database.reading() as connection:
            zones = connection.execute(
                sa.select(devices.c.foreign_id, devices.c.zone).where(
                    devices.c.scheme == self._scheme, devices.c.zone.is_not(None)
                )
            ).all()
            sources = connection.execute(
                sa.select(devices.c.foreign_id, device_inputs.c.name, device_inputs.c.source)
                .join(device_inputs, device_inputs.c.device_id == devices.c.id)
                .where(devices.c.scheme == self._scheme, device_inputs.c.source.is_not(None))
            ).all()
        self._zones = {row.foreign_id: time_zone(row.zone) for row in zones}
        sensors = [kept_sensor(row.foreign_id, row.name, row.source) for row in sources]
        self._sensors = [sensor for sensor in sensors if is_state_topic(sensor.state_topic)]

    def zone_of(self, device: str) -> ZoneInfo:
        """Return the zone of the device's clock."""
        return self._zones.get(device, self._default_zone)

    def sensors(self) -> list[Sensor]:
        """Return the sensors that were announced."""
        return self._sensors
