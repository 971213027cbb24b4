"""Which door a path belongs to; what belongs to none goes on to the framework."""

from zoneinfo import ZoneInfo

from meterbook.inputs.deliveries import Delivery, Outcome
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.senders import Senders
from meterbook.intake.wire.doors import Keeper, WireDoor
from meterbook.intake.wire.emoncms import EmoncmsDoor
from meterbook.intake.wire.influx import EnergyAnswers, InfluxDoor
from meterbook.intake.wire.thingsboard import ThingsboardDoor
from meterbook.intake.wire.vzlogger import VzloggerDoor
from meterbook.registry.personal_data import PersonalData
from meterbook.storage.database import Database


class WireDoors:
    """The doors of one server process."""

    def __init__(
        self,
        commits: GroupCommit[Delivery, Outcome],
        *,
        senders: Senders,
        database: Database,
        personal: PersonalData,
        zone: ZoneInfo,
        energy: EnergyAnswers,
    ) -> None:
        """Open them."""
        keeper = Keeper(commits, senders=senders, database=database)
        emoncms = WireDoor(
            EmoncmsDoor(keeper, database=database, personal=personal, zone=zone), senders=senders
        )
        influx = WireDoor(InfluxDoor(keeper, energy=energy), senders=senders)
        vzlogger = WireDoor(VzloggerDoor(keeper), senders=senders)
        thingsboard = WireDoor(ThingsboardDoor(keeper), senders=senders)
        self._whole = {
            "/describe": emoncms,
            "/version": emoncms,
            "/time/local": emoncms,
            "/write": influx,
            "/api/v2/write": influx,
            "/api/v2/ping": influx,
            "/ping": influx,
            "/health": influx,
            "/query": influx,
        }
        self._beginnings = {
            "input": emoncms,
            "emoncms": emoncms,
            "data": vzlogger,
            "data.json": vzlogger,
            "middleware.php": vzlogger,
            "middleware": vzlogger,
        }
        self._thingsboard = thingsboard

    def door(self, path: str) -> WireDoor | None:
        """Return the door behind the path; None if there is none."""
        found = self._whole.get(path)
        if found is not None:
            return found
        if path.startswith("/api/v1/"):
            return self._thingsboard
        return self._beginnings.get(path[1:].partition("/")[0])
