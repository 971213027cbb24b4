"""
The catalogue: meter models that come with Meterbook, loaded into the registry.

Each item, a model or one of its registers, is written with a hash of what was written. Loading
again touches only what still is as it was loaded: what an admin changed or removed stays so.
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import (
    Direction,
    FunctionCode,
    MeasurementKind,
    NumberType,
    WordOrder,
)
from meterbook.registry import audit
from meterbook.registry.modbus_registers import stored
from meterbook.storage.tables import (
    catalogue_loads,
    measurements,
    meter_models,
    modbus_registers,
)


class CatalogueRegister(msgspec.Struct, frozen=True, kw_only=True):
    """One register of a catalogued model."""

    measurement: str
    address: int
    function_code: FunctionCode
    number_type: NumberType
    word_order: WordOrder
    unit: str
    scale: float
    missing: list[int]
    scale_address: int | None = None
    word_addresses: list[int] = []

    @property
    def order_of_words(self) -> WordOrder:
        """How its words follow one another: words that lie apart are named from the highest."""
        return WordOrder.HIGH_FIRST if self.word_addresses else self.word_order

    @property
    def kind(self) -> MeasurementKind:
        """Units of energy end in h (Wh, varh) and are a counter's."""
        counts = self.unit.endswith("h")
        return MeasurementKind.HISTORICAL if counts else MeasurementKind.CURRENT


class CatalogueModel(msgspec.Struct, frozen=True, kw_only=True):
    """One catalogued model."""

    name: str
    direction: Direction
    registers: list[CatalogueRegister]
    limits: dict[str, int] = {}
    """Of `BusLimits`, those the maker asks for."""


class Loaded(Enum):
    """What loading did with an item."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """An admin made, changed or removed it: theirs counts."""


class CatalogueLoad(msgspec.Struct):
    """How many items, models and registers, loading did what with."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0

    def count(self, loaded: Loaded) -> None:
        """Count one item."""
        setattr(self, loaded.value, getattr(self, loaded.value) + 1)


def load_catalogue(
    connection: sa.Connection, models: Iterable[CatalogueModel], *, now: int
) -> CatalogueLoad:
    """Write the models into the registry, leaving alone what an admin changed."""
    done = CatalogueLoad()
    for model in models:
        wanted = {"name": model.name, "direction": int(model.direction), **model.limits}
        done.count(_load(connection, meter_models, model.name, {"name": model.name}, wanted))
        model_id = connection.execute(
            sa.select(meter_models.c.id).where(meter_models.c.name == model.name)
        ).scalar()
        for register in model.registers:
            if model_id is None:
                done.count(Loaded.KEPT)
                continue
            _add_measurement(connection, register)
            done.count(_load_register(connection, model, model_id, register))
    if done.added or done.updated:
        audit.record(connection, by=None, action="load", subject="catalogue", after=done, now=now)
    return done


def add_model(connection: sa.Connection, model: CatalogueModel, *, by: int | None, now: int) -> int:
    """
    Make a model with its registers, of measurements that may be new too; return its id.

    :raises sqlalchemy.exc.IntegrityError: if there is one of that name.
    """
    model_id: int = connection.execute(
        sa.insert(meter_models)
        .values(name=model.name, direction=int(model.direction), **model.limits)
        .returning(meter_models.c.id)
    ).scalar_one()
    for register in model.registers:
        _add_measurement(connection, register)
        fields = stored(_fields(model_id, register))
        connection.execute(sa.insert(modbus_registers).values(fields))
    audit.record(
        connection, by=by, action="add", subject=f"meters/{model_id}", after=model, now=now
    )
    return model_id


def _add_measurement(connection: sa.Connection, register: CatalogueRegister) -> None:
    known = sa.select(measurements.c.name).where(measurements.c.name == register.measurement)
    if connection.execute(known).first() is None:
        connection.execute(
            sa.insert(measurements).values(name=register.measurement, kind=int(register.kind))
        )


def _load_register(
    connection: sa.Connection, model: CatalogueModel, model_id: int, register: CatalogueRegister
) -> Loaded:
    key = {"meter_model_id": model_id, "measurement": register.measurement}
    item = f"{model.name}/{register.measurement}"
    return _load(connection, modbus_registers, item, key, stored(_fields(model_id, register)))


def _fields(model_id: int, register: CatalogueRegister) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "address": register.address,
        "unit": register.unit,
        "type": int(register.number_type),
        "function_code": int(register.function_code),
        "meter": model_id,
        "measurement": register.measurement,
        "word_order": register.word_order.value,
        "scale": register.scale,
        "missing": register.missing,
    }
    # Only where they say something: what was loaded before there were such fields is unchanged.
    if register.scale_address is not None:
        fields["scale_address"] = register.scale_address
    if register.word_addresses:
        fields["word_addresses"] = register.word_addresses
    return fields


def _load(
    connection: sa.Connection,
    table: sa.Table,
    item: str,
    key: Mapping[str, Any],
    wanted: Mapping[str, Any],
) -> Loaded:
    loaded_hash = connection.execute(
        sa.select(catalogue_loads.c.content_hash).where(catalogue_loads.c.item == item)
    ).scalar()
    here = sa.and_(*(table.c[name] == content for name, content in key.items()))
    columns = [table.c[name] for name in wanted]
    row = connection.execute(sa.select(*columns).where(here)).mappings().first()
    wanted_hash = _hash(wanted)
    if loaded_hash is None:
        if row is not None or _is_taken(connection, table, wanted):
            return Loaded.KEPT
        connection.execute(sa.insert(table).values(dict(wanted)))
        connection.execute(sa.insert(catalogue_loads).values(item=item, content_hash=wanted_hash))
        return Loaded.ADDED
    if row is None or _hash(dict(row)) != loaded_hash:
        return Loaded.KEPT
    if wanted_hash == loaded_hash:
        return Loaded.UNCHANGED
    connection.execute(sa.update(table).where(here).values(dict(wanted)))
    connection.execute(
        sa.update(catalogue_loads)
        .where(catalogue_loads.c.item == item)
        .values(content_hash=wanted_hash)
    )
    return Loaded.UPDATED


def _is_taken(connection: sa.Connection, table: sa.Table, wanted: Mapping[str, Any]) -> bool:
    if table is not modbus_registers:
        return False
    place = ("meter_model_id", "function_code", "address")
    same = sa.select(table.c.id).where(*(table.c[name] == wanted[name] for name in place))
    return connection.execute(same).first() is not None


def _hash(content: Mapping[str, Any]) -> str:
    # A column's name is a text of SQLAlchemy's own kind.
    plain = sorted((str(name), item) for name, item in content.items())
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
