"""`/meters` and `/admin/meters`: meter models."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import ItemId, Limit, Offset, Text, given
from meterbook.domain.modbus_numbers import WORDS_MAX, Direction
from meterbook.registry import meter_models
from meterbook.registry.measurements import Measurement
from meterbook.registry.meter_models import MeterModel

DelayMs = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
TimeoutMs = Annotated[int, msgspec.Meta(ge=50, le=60_000)]
BlockWords = Annotated[int, msgspec.Meta(ge=1, le=WORDS_MAX)]
HoleWords = Annotated[int, msgspec.Meta(ge=0, le=WORDS_MAX)]


class NewMeterModel(msgspec.Struct, frozen=True):
    """A meter model to be; limits that are null or left out are the usual ones."""

    name: Text
    direction: Direction = msgspec.field(name="type")
    connect_delay_ms: DelayMs | None = None
    timeout_ms: TimeoutMs | None = None
    gap_ms: DelayMs | None = None
    block_words_max: BlockWords | None = None
    hole_words_max: HoleWords | None = None


class MeterModelChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    name: Text | UnsetType = UNSET
    direction: Direction | UnsetType = msgspec.field(name="type", default=UNSET)
    connect_delay_ms: DelayMs | UnsetType | None = UNSET
    timeout_ms: TimeoutMs | UnsetType | None = UNSET
    gap_ms: DelayMs | UnsetType | None = UNSET
    block_words_max: BlockWords | UnsetType | None = UNSET
    hole_words_max: HoleWords | UnsetType | None = UNSET


@get("/meters", sync_to_thread=True, summary="Available meter models")
def available_meters(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[MeterModel]:
    """List the meter models."""
    with visit.reading() as (connection, _):
        return meter_models.all_meter_models(connection, limit=limit, offset=offset)


@get(
    "/meters/{meter_id:int}/measurements",
    sync_to_thread=True,
    summary="Measurements a meter model has",
)
def measurements_of_meter(
    visit: NamedDependency[Visit], meter_id: ItemId, limit: Limit = None, offset: Offset = 0
) -> list[Measurement]:
    """List what the meter model has registers for."""
    with visit.reading() as (connection, _):
        return meter_models.measurements_of_model(
            connection, meter_model_id=meter_id, limit=limit, offset=offset
        )


@get("/admin/meters", sync_to_thread=True, summary="All meter models")
def all_meters(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[MeterModel]:
    """List the meter models."""
    with visit.reading() as (connection, _):
        return meter_models.all_meter_models(connection, limit=limit, offset=offset)


@post("/admin/meters", sync_to_thread=True, summary="Add a meter model")
def add_meter(visit: NamedDependency[Visit], data: JSONBody[NewMeterModel]) -> MeterModel:
    """Add a meter model."""
    with visit.writing() as (connection, account):
        return meter_models.add_meter_model(
            connection, fields=given(data), by=account.id, now=visit.now
        )


@get("/admin/meters/{meter_id:int}", sync_to_thread=True, summary="A meter model")
def meter(visit: NamedDependency[Visit], meter_id: ItemId) -> MeterModel:
    """Answer with one meter model."""
    with visit.reading() as (connection, _):
        return meter_models.meter_model(connection, meter_model_id=meter_id)


@patch("/admin/meters/{meter_id:int}", sync_to_thread=True, summary="Change a meter model")
def change_meter(
    visit: NamedDependency[Visit], meter_id: ItemId, data: JSONBody[MeterModelChange]
) -> MeterModel:
    """Change one meter model."""
    with visit.writing() as (connection, account):
        return meter_models.change_meter_model(
            connection,
            meter_model_id=meter_id,
            changes=given(data),
            by=account.id,
            now=visit.now,
        )


@delete("/admin/meters/{meter_id:int}", sync_to_thread=True, summary="Remove a meter model")
def remove_meter(visit: NamedDependency[Visit], meter_id: ItemId) -> None:
    """Remove one meter model and its registers, if no host is or was of it."""
    with visit.writing() as (connection, account):
        meter_models.remove_meter_model(
            connection, meter_model_id=meter_id, by=account.id, now=visit.now
        )
