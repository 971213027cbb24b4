"""
Where a host's samples go: for each assigned measurement its channels, and their state so far.

The state is a JSON text that only its reader looks into; it is written in the transaction
that stores what it led to.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.counters import CounterLimits
from meterbook.domain.modbus_numbers import MeasurementKind, NumberType, channel_unit
from meterbook.domain.readings import Counting, Quality
from meterbook.storage.dialects import among, batch, numbers
from meterbook.storage.tables import (
    channels,
    host_measurements,
    hosts,
    measurements,
    modbus_registers,
)

RATED_POWER_W = 100_000  # more than any home's fuse; a larger host has a rated power of its own
FLOAT_STEP_WH = 100  # floats say nothing of the counter behind them; most count tenths of a kWh
_DIALS_WH = tuple(10**digits for digits in range(7, 13))  # 9,999.999 kWh and more digits
_THOUSANDTHS = 1000


class PolledChannel(msgspec.Struct, frozen=True, kw_only=True):
    """One assigned measurement of a host."""

    host_id: int
    measurement: str
    kind: MeasurementKind
    unit: str
    """Of the channel: without kilo or mega."""
    channel_id: int
    """Of the samples."""
    energy_channel_id: int | None
    """Of the energy between them; None of what is no counter."""
    limits: CounterLimits
    sampled_at_ms: int | None
    amount: int | None
    """The last sample."""
    quality: Quality
    state: str | None


def polled_channels(
    connection: sa.Connection, host_ids: Iterable[int], *, rated_power_w: int = RATED_POWER_W
) -> list[PolledChannel]:
    """
    Return what is read from the hosts that are there, by host and measurement.

    :param rated_power_w: of hosts that have none of their own.
    """
    energy = channels.alias("energy")
    rows = connection.execute(
        sa.select(
            hosts.c.id,
            hosts.c.rated_power_w,
            host_measurements.c.measurement,
            host_measurements.c.channel_id,
            measurements.c.kind,
            channels.c.unit,
            energy.c.id.label("energy_channel_id"),
            modbus_registers.c.number_type,
            modbus_registers.c.unit.label("register_unit"),
            modbus_registers.c.scale,
        )
        .select_from(
            hosts.join(host_measurements, host_measurements.c.host_id == hosts.c.id)
            .join(measurements, measurements.c.name == host_measurements.c.measurement)
            .join(channels, channels.c.id == host_measurements.c.channel_id)
            .outerjoin(energy, _energy_of_same(energy))
            .outerjoin(modbus_registers, _register_of_host())
        )
        .where(hosts.c.id.in_(sorted(set(host_ids))))
        .order_by(hosts.c.id, host_measurements.c.measurement)
    ).all()
    states = states_of(connection, [row.channel_id for row in rows])
    return [_polled(row, states.get(row.channel_id), rated_power_w=rated_power_w) for row in rows]


def states_of(
    connection: sa.Connection, channel_ids: Collection[int]
) -> dict[int, sa.Row[*tuple[Any, ...]]]:
    """Return the rows of `channel_states` of these channels; asked alone, as Citus wants it."""
    statement = f"SELECT * FROM channel_states WHERE {among(connection, 'channel_id')}"  # noqa: S608 our own names
    found = connection.execute(
        sa.text(statement), {"ids": numbers(connection, sorted(set(channel_ids)))}
    )
    return {row.channel_id: row for row in found}


def save_states(
    connection: sa.Connection, states: Mapping[int, tuple[int, int, Quality, str]]
) -> None:
    """
    Keep what has to be known of channels' samples so far.

    :param states: by channel: when the last sample was taken, what it was, its quality, the state.
    """
    if not states:
        return
    columns = dict.fromkeys(("channel_id", "sampled_at_ms", "amount", "quality"), "bigint")
    rows = [
        (channel_id, sampled_at_ms, amount, int(quality), state)
        for channel_id, (sampled_at_ms, amount, quality, state) in sorted(states.items())
    ]
    source, parameters = batch(connection, columns=columns | {"state": "text"}, rows=rows)
    statement = f"""
        INSERT INTO channel_states (channel_id, sampled_at_ms, amount, quality, state)
        SELECT channel_id, sampled_at_ms, amount, quality, state FROM {source} WHERE true
        ON CONFLICT (channel_id) DO UPDATE
        SET sampled_at_ms = excluded.sampled_at_ms, amount = excluded.amount,
            quality = excluded.quality, state = excluded.state
    """  # noqa: S608 built from our own names only
    connection.execute(sa.text(statement), parameters)


def extreme_channels(
    connection: sa.Connection, channel_ids: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return the channels of least and greatest samples beside these of means; make what lacks."""
    found: dict[int, list[int]] = {}
    for counting in (Counting.INSTANT_LOWEST, Counting.INSTANT_HIGHEST):
        beside = channels.alias("beside")
        names = ("meter_point_id", "measurement", "flow")
        same = sa.and_(*(beside.c[name] == channels.c[name] for name in names))
        pairs = (
            sa.select(channels.c.id, beside.c.id.label("beside_id"))
            .outerjoin(beside, sa.and_(same, beside.c.counting == int(counting)))
            .where(channels.c.id.in_(sorted(set(channel_ids))))
        )
        known = {row.id: row.beside_id for row in connection.execute(pairs)}
        if lacking := sorted(channel_id for channel_id in known if known[channel_id] is None):
            copied = ("unit", "interval_s", "zone")
            connection.execute(
                sa.insert(channels).from_select(
                    [*names, "counting", *copied],
                    sa.select(
                        *(channels.c[name] for name in names),
                        sa.literal(int(counting)),
                        *(channels.c[name] for name in copied),
                    ).where(channels.c.id.in_(lacking)),
                )
            )
            known = {row.id: row.beside_id for row in connection.execute(pairs)}
        for channel_id, beside_id in known.items():
            found.setdefault(channel_id, []).append(beside_id)
    return {channel_id: (low, high) for channel_id, (low, high) in found.items()}


def _energy_of_same(energy: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(
        energy.c.meter_point_id == channels.c.meter_point_id,
        energy.c.measurement == channels.c.measurement,
        energy.c.flow == channels.c.flow,
        energy.c.counting == int(Counting.INTERVAL),
        channels.c.counting == int(Counting.CUMULATIVE),
    )


def _register_of_host() -> sa.ColumnElement[bool]:
    return sa.and_(
        modbus_registers.c.meter_model_id == hosts.c.meter_model_id,
        modbus_registers.c.measurement == host_measurements.c.measurement,
    )


def _polled(
    row: sa.Row[*tuple[Any, ...]], state: sa.Row[*tuple[Any, ...]] | None, *, rated_power_w: int
) -> PolledChannel:
    return PolledChannel(
        host_id=row.id,
        measurement=row.measurement,
        kind=MeasurementKind(row.kind),
        unit=row.unit,
        channel_id=row.channel_id,
        energy_channel_id=row.energy_channel_id,
        limits=_limits(row, rated_power_w=row.rated_power_w or rated_power_w),
        sampled_at_ms=None if state is None else state.sampled_at_ms,
        amount=None if state is None else state.amount,
        quality=Quality(state.quality) if state else Quality.RAW,
        state=None if state is None else state.state,
    )


def _limits(row: sa.Row[*tuple[Any, ...]], *, rated_power_w: int) -> CounterLimits:
    part = 1 if row.unit == "Wh" else _THOUSANDTHS
    dials = tuple(end * part for end in _DIALS_WH)
    if row.number_type is None:
        return CounterLimits(rated_power_w * part, FLOAT_STEP_WH * part, dials)
    written = {"k": 1_000, "M": 1_000_000}
    prefixed = row.register_unit != channel_unit(row.register_unit)
    counted = Decimal(row.scale) * (written[row.register_unit[0]] if prefixed else 1) * part
    end = NumberType(row.number_type).end
    if end is None:
        return CounterLimits(rated_power_w * part, FLOAT_STEP_WH * part, dials)
    width = round(end * counted)
    step = max(round(counted), 1)
    return CounterLimits(rated_power_w * part, step, (width, *(e for e in dials if e < width)))
