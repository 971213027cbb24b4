"""
What the collector has to read: every host with its bus, its model's limits and its registers.

A plan is a picture of the registry at one moment. Each change of the registry adds an entry to
the audit log, so the log's newest number says whether a plan is still right.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.host_addresses import BusAddress, bus_address
from meterbook.domain.modbus_numbers import BusLimits, FunctionCode, NumberType, WordOrder
from meterbook.domain.register_amounts import amount_scale
from meterbook.registry.refusals import NotThereError
from meterbook.storage.tables import (
    audit_entries,
    host_measurements,
    hosts,
    meter_models,
    modbus_registers,
)

_LIMITS = BusLimits.__struct_fields__


class PolledRegister(msgspec.Struct, frozen=True):
    """Where a measurement is read, and how its words become an amount."""

    measurement: str
    function_code: FunctionCode
    addresses: tuple[int, ...]
    """Of its words, as `word_order` takes them."""
    number_type: NumberType
    word_order: WordOrder
    unit: str
    scale: Decimal
    amount_scale: Fraction
    """Raw number times this is the channel's amount: Wh, or thousandths of its unit."""
    missing: frozenset[int] = frozenset()
    scale_address: int | None = None
    """Where a power of ten is, int16, that scales it too; read together with it."""

    @property
    def span(self) -> tuple[int, int]:
        """The addresses it takes, scale factor included, half-open."""
        others = () if self.scale_address is None else (self.scale_address,)
        return min(*self.addresses, *others, 65_536), max(*self.addresses, *others, 0) + 1


class PolledHost(msgspec.Struct, frozen=True):
    """One host to be read."""

    host_id: int
    bus: BusAddress
    slave_address: int
    limits: BusLimits
    period_s: int
    registers: tuple[PolledRegister, ...]


class PollPlan(msgspec.Struct, frozen=True):
    """Every host that has a measurement to be read."""

    version: int
    hosts: dict[int, PolledHost]


def plan_version(connection: sa.Connection) -> int:
    """Return a number that grows with every change of the registry."""
    newest: int | None = connection.execute(sa.select(sa.func.max(audit_entries.c.number))).scalar()
    return newest or 0


def poll_plan(connection: sa.Connection, *, period_s: int) -> PollPlan:
    """
    Return what is to be read now.

    :param period_s: how often hosts are read that have no period of their own.
    """
    version = plan_version(connection)
    registers = _registers_by_model(connection, modbus_registers.c.id.is_not(None))
    wanted: dict[int, list[str]] = {}
    assigned = sa.select(host_measurements.c.host_id, host_measurements.c.measurement)
    for host_id, measurement in connection.execute(assigned):
        wanted.setdefault(host_id, []).append(measurement)
    planned = {}
    for row in connection.execute(_hosts().where(hosts.c.archived_at.is_(None))):
        of_model = registers.get(row.meter_model_id, {})
        read = [of_model[name] for name in wanted.get(row.id, ()) if name in of_model]
        if read:
            planned[row.id] = _polled(row, read, period_s)
    return PollPlan(version, planned)


def whole_host(connection: sa.Connection, *, host_id: int) -> PolledHost:
    """
    Return one host with every register of its model, assigned or not, for a probe.

    :raises NotThereError: if there is none, or it is archived.
    """
    row = connection.execute(
        _hosts().where(hosts.c.id == host_id, hosts.c.archived_at.is_(None))
    ).first()
    if row is None:
        raise NotThereError("host")
    of_model = modbus_registers.c.meter_model_id == row.meter_model_id
    registers = _registers_by_model(connection, of_model).get(row.meter_model_id, {})
    return _polled(row, registers.values(), period_s=0)


def _hosts() -> sa.Select[Any]:
    limits = (meter_models.c[name] for name in _LIMITS)
    return sa.select(
        hosts.c.id,
        hosts.c.ip,
        hosts.c.port,
        hosts.c.slave_address,
        hosts.c.poll_seconds,
        hosts.c.meter_model_id,
        *limits,
    ).join(meter_models, meter_models.c.id == hosts.c.meter_model_id)


def _polled(row: Any, registers: Iterable[PolledRegister], period_s: int) -> PolledHost:
    return PolledHost(
        host_id=row.id,
        bus=bus_address(row.ip, port=row.port),
        slave_address=row.slave_address,
        limits=limits_of(row._mapping),  # noqa: SLF001 SQLAlchemy's public name for it
        period_s=row.poll_seconds or period_s,
        registers=tuple(registers),
    )


def limits_of(row: sa.RowMapping) -> BusLimits:
    """Return the limits that a row of `meter_models` names, the defaults for the others."""
    return BusLimits(**{name: row[name] for name in _LIMITS if row[name] is not None})


def _registers_by_model(
    connection: sa.Connection, which: sa.ColumnElement[bool]
) -> dict[int, dict[str, PolledRegister]]:
    wanted = sa.select(modbus_registers).where(which).order_by(modbus_registers.c.id)
    found: dict[int, dict[str, PolledRegister]] = {}
    for row in connection.execute(wanted):
        found.setdefault(row.meter_model_id, {})[row.measurement] = _register(row)
    return found


def _register(row: Any) -> PolledRegister:
    number_type = NumberType(row.number_type)
    apart = msgspec.json.decode(row.word_addresses) if row.word_addresses else None
    scale = Decimal(row.scale)
    return PolledRegister(
        measurement=row.measurement,
        function_code=FunctionCode(row.function_code),
        addresses=tuple(apart or range(row.address, row.address + number_type.words)),
        number_type=number_type,
        word_order=WordOrder.HIGH_FIRST if apart else WordOrder(row.word_order),
        unit=row.unit,
        scale=scale,
        amount_scale=amount_scale(scale=scale, unit=row.unit),
        missing=frozenset(msgspec.json.decode(row.missing)),
        scale_address=row.scale_address,
    )
