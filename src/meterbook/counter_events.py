"""
Counter events: a meter was exchanged, or its counter reset, and somebody says what it showed.

Told before or after it was noticed: the energy of the gap comes from the final and first register,
and the history goes on as if nothing had been. Knows the registry and the daybook.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook import daybook
from meterbook.domain.counters import (
    CounterState,
    EventDoesNotFitError,
    count_event,
    each_interval,
)
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.domain.readings import Quality, Reading
from meterbook.registry import audit
from meterbook.registry.host_health import hold_hosts
from meterbook.registry.polled_channels import PolledChannel, polled_channels, save_states
from meterbook.registry.refusals import NotThereError, WrongFieldError

_decode = msgspec.json.Decoder(CounterState).decode


class CounterEvent(msgspec.Struct, frozen=True):
    """Where a counter ended and where it, or its successor, went on."""

    host: int
    measurement: str
    at: int
    """UTC epoch seconds."""
    final: int
    """What it showed last, in whole Wh (thousandths of the unit where it is no energy)."""
    first: int
    """What it, or the new meter, showed then."""
    reason: str


def record_counter_event(
    connection: sa.Connection, event: CounterEvent, *, by: int | None, now: int
) -> int:
    """
    Take the event in and return how many intervals of energy it settled.

    :raises NotThereError: if there is no such host or it does not measure that.
    :raises WrongFieldError: if it is no counter, or the event contradicts what was read.
    """
    channel = _counter(connection, event)
    try:
        counted = count_event(
            _decode(channel.state or b"[]"),
            at_ms=event.at * 1000,
            final=event.final,
            first=event.first,
            limits=channel.limits,
        )
    except EventDoesNotFitError as error:
        raise WrongFieldError("at", f"does not fit: {error}") from None
    readings = [
        Reading(channel.energy_channel_id, *interval)
        for interval in each_interval(counted.energies)
        if channel.energy_channel_id is not None
    ]
    daybook.record_readings(connection, readings, received_at_ms=now * 1000)
    sampled_at_ms = max(channel.sampled_at_ms or 0, event.at * 1000)
    amount = event.first if channel.amount is None else channel.amount
    state = msgspec.json.encode(counted.state).decode()
    save_states(connection, {channel.channel_id: (sampled_at_ms, amount, Quality.RAW, state)})
    written: dict[str, Any] = msgspec.to_builtins(event)
    audit.record(
        connection,
        by=by,
        action="counter-event",
        subject=f"hosts/{event.host}/measurements",
        after=written | {"settled_intervals": len(readings)},
        now=now,
    )
    return len(readings)


def _counter(connection: sa.Connection, event: CounterEvent) -> PolledChannel:
    if event.host not in hold_hosts(connection, [event.host]):
        raise NotThereError("host")
    for channel in polled_channels(connection, [event.host]):
        if channel.measurement == event.measurement:
            if channel.kind is not MeasurementKind.HISTORICAL:
                raise WrongFieldError("measurement", "is no counter's")
            return channel
    raise NotThereError("measurement of that host")
