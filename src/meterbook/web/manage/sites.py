"""Locations, hosts and meter points: their lists, forms and actions."""

from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.api.hosts import NewHost
from meterbook.api.locations import NewLocation
from meterbook.api.meter_points import MeterClaim
from meterbook.queries.device_lists import (
    listed_hosts,
    listed_locations,
    listed_meter_models,
    listed_meter_points,
)
from meterbook.registry import hosts, locations, meter_points
from meterbook.registry.meter_keys import give_meter_key, take_meter_key
from meterbook.registry.users import user
from meterbook.web.languages import marked
from meterbook.web.manage.forms import FormField, Shape
from meterbook.web.manage.host_reading import host_reading
from meterbook.web.manage.item_number import number
from meterbook.web.manage.kinds import Action, Deed, Kind

CHOICES_MAX = 1_000


def entered(item: msgspec.Struct) -> dict[str, str]:
    """Return what a form shows of a registry's struct."""
    fields: dict[str, Any] = msgspec.to_builtins(item)
    return {name: "" if content is None else str(content) for name, content in fields.items()}


def _location_choices(connection: sa.Connection) -> list[tuple[str, str]]:
    rows = listed_locations(connection, search="", limit=CHOICES_MAX, offset=0)
    return [(row.id, f"{row.cells[0]}, {row.cells[1]} ({row.cells[2]})") for row in rows]


def model_choices(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return meter models to choose from."""
    rows = listed_meter_models(connection, search="", limit=CHOICES_MAX, offset=0)
    return [(row.id, row.cells[0]) for row in rows]


def _read_location(connection: sa.Connection, item: str) -> dict[str, str]:
    found = locations.location(connection, location_id=number(item, "location"))
    return entered(found) | {"user": user(connection, account_id=found.user).username}


def _add_location(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    return str(locations.add_location(connection, fields=fields, by=deed.by, now=deed.now).id)


def _change_location(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    locations.change_location(
        connection, location_id=number(item, "location"), changes=changes, by=deed.by, now=deed.now
    )


def _remove_location(connection: sa.Connection, item: str, deed: Deed) -> None:
    locations.remove_location(
        connection, location_id=number(item, "location"), by=deed.by, now=deed.now
    )


def _read_host(connection: sa.Connection, item: str) -> dict[str, str]:
    return entered(hosts.host(connection, host_id=number(item, "host")))


def _with_user(connection: sa.Connection, fields: dict[str, Any]) -> dict[str, Any]:
    # A host belongs to whom its location belongs to: nobody has to say it twice.
    if "location" not in fields:
        return fields
    place = locations.location(connection, location_id=fields["location"])
    return fields | {"user": place.user}


def _add_host(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    whole = _with_user(connection, fields)
    return str(hosts.add_host(connection, fields=whole, by=deed.by, now=deed.now).id)


def _change_host(connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed) -> None:
    whole = _with_user(connection, changes)
    hosts.change_host(
        connection, host_id=number(item, "host"), changes=whole, by=deed.by, now=deed.now
    )


def _remove_host(connection: sa.Connection, item: str, deed: Deed) -> None:
    hosts.remove_host(connection, host_id=number(item, "host"), by=deed.by, now=deed.now)


def _read_point(connection: sa.Connection, item: str) -> dict[str, str]:
    point = meter_points.meter_point(connection, meter_point_id=number(item, "meter point"))
    owner = "" if point.user is None else user(connection, account_id=point.user).username
    return entered(point) | {"user": owner}


def _claim(connection: sa.Connection, fields: dict[str, Any], deed: Deed) -> str:
    meter = fields.pop("meter_id")
    point = meter_points.claim_meter(
        connection,
        meter_id=meter,
        fields=fields,
        default_zone=deed.default_zone,
        by=deed.by,
        now=deed.now,
    )
    return str(point.id)


def _change_point(
    connection: sa.Connection, item: str, changes: dict[str, Any], deed: Deed
) -> None:
    meter_points.change_meter_point(
        connection,
        meter_point_id=number(item, "meter point"),
        changes=changes,
        by=deed.by,
        now=deed.now,
    )


def _give_key(connection: sa.Connection, item: str, deed: Deed) -> str:
    point = meter_points.meter_point(connection, meter_point_id=number(item, "meter point"))
    return give_meter_key(connection, meter_id=point.meter_id, by=deed.by, now=deed.now)


def _take_key(connection: sa.Connection, item: str, deed: Deed) -> None:
    point = meter_points.meter_point(connection, meter_point_id=number(item, "meter point"))
    take_meter_key(connection, meter_id=point.meter_id, by=deed.by, now=deed.now)


LOCATIONS = Kind(
    title=marked("Locations"),
    one=marked("Location"),
    summary=marked("Sites with an address, where hosts stand."),
    columns=(marked("Address"), marked("City"), marked("User")),
    listed=listed_locations,
    fields=(
        FormField("street", marked("Street"), width="two-thirds"),
        FormField("number", marked("Number"), width="third"),
        FormField("zip_code", marked("Postcode"), width="third"),
        FormField("city", marked("City"), width="two-thirds"),
        FormField(
            "user", marked("User"), Shape.ACCOUNT, marked("The account's name."), width="half"
        ),
        FormField(
            "coord_x",
            marked("Longitude"),
            Shape.DECIMAL,
            is_required=False,
            empty=None,
            width="half",
        ),
        FormField(
            "coord_y",
            marked("Latitude"),
            Shape.DECIMAL,
            is_required=False,
            empty=None,
            width="half",
        ),
    ),
    body=NewLocation,
    read=_read_location,
    change=_change_location,
    add=_add_location,
    add_words=marked("Add a location"),
    together=("coord_x", "coord_y"),
    actions={
        "remove": Action(
            marked("Remove"),
            marked("Remove this location?"),
            marked("It is gone for good. A location that has hosts, or had some, stays."),
            _remove_location,
        )
    },
)
HOSTS = Kind(
    title=marked("Hosts"),
    one=marked("Host"),
    summary=marked("Modbus devices that are polled."),
    columns=(
        marked("Network address"),
        marked("Slave address"),
        marked("Meter model"),
        marked("Location"),
        marked("User"),
        marked("Description"),
    ),
    listed=listed_hosts,
    fields=(
        FormField("ip", marked("IP address or host name"), width="half"),
        FormField("port", marked("Port"), Shape.WHOLE, width="half"),
        FormField(
            "slave_address",
            marked("Slave address"),
            Shape.WHOLE,
            marked("1 to 247."),
            width="third",
        ),
        FormField(
            "meter", marked("Meter model"), Shape.CHOICE, choices=model_choices, width="third"
        ),
        FormField(
            "poll_seconds",
            marked("Read every (seconds)"),
            Shape.WHOLE,
            marked("5 to 3600; empty: as the server says."),
            is_required=False,
            empty=None,
            width="third",
        ),
        FormField(
            "location",
            marked("Location"),
            Shape.CHOICE,
            marked("The host belongs to the location's user."),
            choices=_location_choices,
        ),
        FormField("description", marked("Description"), is_required=False, empty=""),
    ),
    body=NewHost,
    read=_read_host,
    change=_change_host,
    add=_add_host,
    add_words=marked("Add a host"),
    actions={
        "remove": Action(
            marked("Remove"),
            marked("Remove this host?"),
            marked(
                "It is polled no longer. If it was ever read, its readings stay and it is archived."
            ),
            _remove_host,
        )
    },
    numeric=(1,),
    more=host_reading,
    more_template="parts/host_reading.html",
)
METER_POINTS = Kind(
    title=marked("Meters that push"),
    one=marked("Meter"),
    summary=marked("Meters that send packets: whose they are, their region and their key."),
    columns=(marked("Meter"), marked("Name"), marked("Region"), marked("User")),
    listed=listed_meter_points,
    fields=(
        FormField(
            "meter_id",
            marked("Meter ID"),
            Shape.METER,
            marked("With or without dashes."),
            only_new=True,
        ),
        FormField(
            "user",
            marked("User"),
            Shape.ACCOUNT,
            marked("The account's name; empty: nobody."),
            is_required=False,
            empty=None,
            width="half",
        ),
        FormField("name", marked("Name"), is_required=False, empty=None, width="half"),
        FormField("region", marked("Region"), is_required=False, empty=None, width="half"),
        FormField(
            "zone",
            marked("Time zone"),
            hint=marked("As in Europe/Warsaw; fixed once a day is closed."),
            is_required=False,
            width="half",
        ),
    ),
    body=MeterClaim,
    read=_read_point,
    change=_change_point,
    add=_claim,
    add_words=marked("Claim a meter"),
    actions={
        "give-key": Action(
            marked("Give a key"),
            marked("Give this meter a new key?"),
            marked("From now on its packets must carry it; a key it had is worthless at once."),
            _give_key,
            is_dangerous=False,
        ),
        "take-key": Action(
            marked("Take the key away"),
            marked("Take this meter's key away?"),
            marked("Packets for it are then accepted without a key, from trusted networks."),
            _take_key,
        ),
    },
)
