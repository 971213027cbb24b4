"""`/admin/measurements`."""

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import Limit, MeasurementName, Offset, given
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.registry import measurements
from meterbook.registry.measurements import Measurement


class NewMeasurement(msgspec.Struct, frozen=True):
    """A measurement to be."""

    measurement: MeasurementName
    kind: MeasurementKind = msgspec.field(name="type")


class MeasurementChange(msgspec.Struct, frozen=True):
    """What is to be different; the name stays, history goes by it."""

    kind: MeasurementKind | UnsetType = msgspec.field(name="type", default=UNSET)


@get("/admin/measurements", sync_to_thread=True, summary="All measurements")
def all_measurements(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[Measurement]:
    """List the measurements."""
    with visit.reading() as (connection, _):
        return measurements.all_measurements(connection, limit=limit, offset=offset)


@post("/admin/measurements", sync_to_thread=True, summary="Add a measurement")
def add_measurement(visit: NamedDependency[Visit], data: JSONBody[NewMeasurement]) -> Measurement:
    """Add a measurement."""
    with visit.writing() as (connection, account):
        return measurements.add_measurement(
            connection, fields=given(data), by=account.id, now=visit.now
        )


@get("/admin/measurements/{measurement:str}", sync_to_thread=True, summary="A measurement")
def measurement(visit: NamedDependency[Visit], measurement: FromPath[str]) -> Measurement:
    """Answer with one measurement."""
    with visit.reading() as (connection, _):
        return measurements.measurement_named(connection, name=measurement)


@patch("/admin/measurements/{measurement:str}", sync_to_thread=True, summary="Change a measurement")
def change_measurement(
    visit: NamedDependency[Visit], measurement: FromPath[str], data: JSONBody[MeasurementChange]
) -> Measurement:
    """Change one measurement that has no history."""
    with visit.writing() as (connection, account):
        return measurements.change_measurement(
            connection, name=measurement, changes=given(data), by=account.id, now=visit.now
        )


@delete(
    "/admin/measurements/{measurement:str}", sync_to_thread=True, summary="Remove a measurement"
)
def remove_measurement(visit: NamedDependency[Visit], measurement: FromPath[str]) -> None:
    """Remove one measurement that no register holds and that has no history."""
    with visit.writing() as (connection, account):
        measurements.remove_measurement(connection, name=measurement, by=account.id, now=visit.now)
