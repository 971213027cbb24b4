"""From the words of a reading to amounts: one poll, or one probe, of a host."""

import time
from decimal import Decimal

from meterbook.domain.host_addresses import BusAddress, Wire
from meterbook.domain.host_polls import HostPoll
from meterbook.domain.host_probes import HostProbe, RegisterProbe
from meterbook.domain.modbus_numbers import NumberType
from meterbook.domain.register_amounts import SCALE_FACTOR_MAX, amount_of
from meterbook.domain.register_words import number_of_words
from meterbook.intake.modbus.host_reader import HostReader, Reading
from meterbook.registry.poll_plans import PolledRegister


async def poll(reader: HostReader, *, patient: bool) -> HostPoll:
    """
    Read a host's assigned measurements once.

    :param patient: as in `HostReader.read`.
    """
    begun = time.monotonic()
    reading = await reader.read(patient=patient)
    latency_ms = round((time.monotonic() - begun) * 1000)
    amounts = {
        register.measurement: _amount(register, reading)
        for register in reader.host.registers
        if register.measurement not in reading.failed
    }
    return HostPoll(
        host_id=reader.host.host_id,
        polled_at_ms=time.time_ns() // 1_000_000,
        amounts=amounts,
        failures={name: error.failure for name, error in reading.failed.items()},
        latency_ms=latency_ms,
    )


async def probe(reader: HostReader) -> HostProbe:
    """Read every register of a host once, and show all that came."""
    begun = time.monotonic()
    reading = await reader.read(patient=True)
    host = reader.host
    return HostProbe(
        host=host.host_id,
        bus=_place(host.bus),
        slave_address=host.slave_address,
        latency_ms=round((time.monotonic() - begun) * 1000),
        requests=reading.requests,
        registers=[_probed(register, reading) for register in host.registers],
    )


def _amount(register: PolledRegister, reading: Reading) -> int | None:
    number, scale_factor = _number(register, reading)
    if number is None or scale_factor is None:
        return None
    return amount_of(number, scale=register.amount_scale, scale_factor=scale_factor)


def _number(register: PolledRegister, reading: Reading) -> tuple[int | Decimal | None, int | None]:
    number = number_of_words(
        reading.words_of(register),
        number_type=register.number_type,
        word_order=register.word_order,
        missing=register.missing,
    )
    if register.scale_address is None:
        return number, 0
    word = reading.words[register.function_code, register.scale_address]
    factor = number_of_words([word], number_type=NumberType.INT16)
    # SunSpec: -32768 means that the point is not implemented; others beyond 10 mean nothing.
    if not isinstance(factor, int) or abs(factor) > SCALE_FACTOR_MAX:
        return number, None
    return number, factor


def _probed(register: PolledRegister, reading: Reading) -> RegisterProbe:
    shown = {
        "measurement": register.measurement,
        "address": min(register.addresses),
        "function_code": int(register.function_code),
        "unit": register.unit,
    }
    if error := reading.failed.get(register.measurement):
        return RegisterProbe(**shown, failure=error.failure, reason=str(error))  # type: ignore[arg-type]
    number, scale_factor = _number(register, reading)
    text = None
    if number is not None and scale_factor is not None:
        exact = (Decimal(number) * register.scale).scaleb(scale_factor)
        text = f"{exact.normalize():f}"
    words = [f"{word:04X}" for word in reading.words_of(register)]
    return RegisterProbe(**shown, words=words, number=text)  # type: ignore[arg-type]


def _place(bus: BusAddress) -> str:
    return bus.place if bus.wire is Wire.SERIAL else f"{bus.place} port {bus.port}"
