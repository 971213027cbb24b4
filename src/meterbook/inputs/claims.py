"""
Claiming an input: what its numbers are, and the channel their readings go to.

What the input sent since it was first seen is recorded from its first sample on; see `recording`.
"""

from fractions import Fraction
from typing import Any

import msgspec
import sqlalchemy as sa

from meterbook.domain.input_mappings import (
    ENERGY_UNITS,
    Mapping,
    decimal_factor,
)
from meterbook.domain.modbus_numbers import channel_unit
from meterbook.domain.readings import HALF_HOUR_S, Flow
from meterbook.inputs.claimed_places import (
    MeterPlaceWanted,
    channel_for,
    meter_point_for,
    require_free,
)
from meterbook.inputs.owned_devices import Device, DeviceInput, device_seen
from meterbook.registry import audit
from meterbook.registry.meters import ACTIVE_ENERGY
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.device_tables import device_inputs, input_samples

_MULTIPLES = {"k": Fraction(1000), "M": Fraction(1_000_000)}
LENGTHS_S = (60, 300, 600, 900, 1800)


class InputClaim(msgspec.Struct, frozen=True):
    """What the claimer says an input is; what is left out is what the device announced."""

    mapping: Mapping | None = None
    unit: str | None = None
    """Unit of its numbers: kWh, Wh, Wmin, W, kW, V, ..."""
    factor: str | None = None
    """In place of an energy unit: Wh in one count, such as 1 or 0.001 or 1/60."""
    measurement: str | None = None
    """Default: active_energy; of momentary inputs the input's name."""
    flow: Flow = Flow.IMPORT
    resets_to_zero: bool = False
    rated_power_w: int | None = None
    length_s: int | None = None
    meter_id: int | None = None
    """The meter whose readings these are; null: the device's own meter point, without a number."""


def claim_input(
    connection: sa.Connection,
    *,
    device_id: int,
    input_id: int,
    account_id: int | None,
    claim: InputClaim,
    default_zone: str,
    by: int | None,
    now: int,
) -> DeviceInput:
    """
    Claim the input and return it; the same claim again changes nothing.

    :param account_id: whose the device must be; None: anybody's.
    :raises NotThereError: if there is no such input.
    :raises WrongFieldError: if the claim does not say all that must be known, or cannot be.
    :raises InUseError: if the input is claimed as something else, or the device is nobody's.
    """
    device = device_seen(connection, device_id=device_id, account_id=account_id)
    found = _input_of(device, input_id)
    if device.user is None:
        raise InUseError(f"device {device_id} is nobody's: an admin gives it to a user first")
    mapping, unit, factor = _meaning(claim, found)
    place = MeterPlaceWanted(device, claim.meter_id, device.zone or default_zone)
    point_id = meter_point_for(connection, place, by=by, now=now)
    columns: dict[str, Any] = {
        "mapping": mapping,
        "factor": str(factor),
        "resets_to_zero": claim.resets_to_zero,
        "rated_power_w": claim.rated_power_w,
        "length_s": (claim.length_s or HALF_HOUR_S) if mapping is Mapping.INTERVAL else None,
        "channel_id": channel_for(
            connection,
            meter_point_id=point_id,
            measurement=claim.measurement or _measurement(mapping, found),
            flow=claim.flow,
            mapping=mapping,
            unit=unit,
        ),
    }
    if found.channel is not None:
        _require_same(connection, input_id, columns)
        return found
    require_free(connection, channel_id=columns["channel_id"])
    _write_claim(connection, input_id, columns, now=now)
    subject, after = f"inputs/{input_id}", columns | {"device": device_id}
    audit.record(connection, by=by, action="claim", subject=subject, after=after, now=now)
    return input_seen(connection, device_id=device_id, input_id=input_id)


def _require_same(connection: sa.Connection, input_id: int, columns: dict[str, Any]) -> None:
    before = connection.execute(
        sa.select(*(device_inputs.c[name] for name in columns)).where(
            device_inputs.c.id == input_id
        )
    ).one()
    if before._asdict() != columns:
        raise InUseError(f"input {input_id} is claimed as something else: give it back first")


def _write_claim(
    connection: sa.Connection, input_id: int, columns: dict[str, Any], *, now: int
) -> None:
    first = sa.select(sa.func.min(input_samples.c.at_ms)).where(
        input_samples.c.input_id == input_id
    )
    connection.execute(
        sa.update(device_inputs)
        .where(device_inputs.c.id == input_id)
        .values(**columns, claimed_at=now, record_from_ms=first.scalar_subquery(), progress=None)
    )


def input_seen(
    connection: sa.Connection, *, device_id: int, input_id: int, account_id: int | None = None
) -> DeviceInput:
    """
    Return one input.

    :param account_id: whose the device must be; None: anybody's.
    :raises NotThereError: if there is none.
    """
    device = device_seen(connection, device_id=device_id, account_id=account_id)
    return _input_of(device, input_id)


def give_back_input(
    connection: sa.Connection,
    *,
    device_id: int,
    input_id: int,
    account_id: int | None,
    by: int | None,
    now: int,
) -> None:
    """
    End the claim: what is in the books stays, what the input sends from now on waits again.

    :raises NotThereError: if there is no such input.
    """
    device = device_seen(connection, device_id=device_id, account_id=account_id)
    found = _input_of(device, input_id)
    if found.channel is None:
        return
    connection.execute(
        sa.update(device_inputs)
        .where(device_inputs.c.id == input_id)
        .values(channel_id=None, mapping=None, factor=None, record_from_ms=None, claimed_at=None)
    )
    audit.record(
        connection,
        by=by,
        action="give back",
        subject=f"inputs/{input_id}",
        before={"device": device_id, "channel_id": found.channel},
        now=now,
    )


def _input_of(device: Device, input_id: int) -> DeviceInput:
    for found in device.inputs:
        if found.id == input_id:
            return found
    raise NotThereError("input")


def _meaning(claim: InputClaim, found: DeviceInput) -> tuple[Mapping, str, Fraction]:
    """Return what the input is, the unit of its channel, and that unit in one of its own."""
    mapping = claim.mapping or (found.suggested and Mapping(found.suggested))
    if not mapping:
        raise WrongFieldError("mapping", "must say what the numbers are")
    if mapping is Mapping.INTERVAL and claim.length_s not in {None, *LENGTHS_S}:
        raise WrongFieldError("length_s", f"must be one of {', '.join(map(str, LENGTHS_S))}")
    unit = claim.unit or (None if claim.factor else found.unit)
    try:
        factor = decimal_factor(claim.factor) if claim.factor else None
    except ValueError as error:
        raise WrongFieldError("factor", str(error)) from None
    if mapping is Mapping.MOMENTARY:
        if not unit:
            raise WrongFieldError("unit", "must be given: W, V, A, ...")
        kept = channel_unit(unit)
        return mapping, kept, factor or (_MULTIPLES[unit[0]] if kept != unit else Fraction(1))
    if unit is not None and unit not in ENERGY_UNITS:
        raise WrongFieldError("unit", f"must be one of {', '.join(ENERGY_UNITS)}, or give a factor")
    if unit is None and factor is None:
        raise WrongFieldError("unit", "or a factor must be given")
    return mapping, "Wh", (factor or Fraction(1)) * (ENERGY_UNITS[unit] if unit else 1)


def _measurement(mapping: Mapping, found: DeviceInput) -> str:
    return found.name if mapping is Mapping.MOMENTARY else ACTIVE_ENERGY
