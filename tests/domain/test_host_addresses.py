"""Where a host may be."""

import pytest

from meterbook.domain.host_addresses import (
    BusAddress,
    HostAddressError,
    Wire,
    bus_address,
    host_address,
)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (" 2001:DB8:0::7 ", "2001:db8::7"),
        ("meter", "meter"),
        ("Meter-1.Example.", "meter-1.example"),
        ("modbus_tcp.local", "modbus_tcp.local"),
        ("rtu+tcp://10.0.0.7", "rtu+tcp://10.0.0.7"),
        ("RTU://Gateway.Example", "rtu+tcp://gateway.example"),
        ("rtuovertcp://[FE80::0:1]", "rtu+tcp://fe80::1"),
        ("/dev/ttyUSB0", "serial:/dev/ttyUSB0"),
        ("serial:/dev/serial/by-id/usb-FTDI_A1-if00", "serial:/dev/serial/by-id/usb-FTDI_A1-if00"),
        (
            "serial:/dev/ttyS1?parity=e&baudrate=19200",
            "serial:/dev/ttyS1?baudrate=19200&parity=E",
        ),
        ("serial:/dev/ttyS1?baudrate=9600&stopbits=1", "serial:/dev/ttyS1"),
    ],
)
def test_one_spelling_for_one_address(written: str, stored: str) -> None:
    assert host_address(written) == stored


@pytest.mark.parametrize(
    "written",
    [
        "", ".", "256.1.1.1", "1.2.3", "a b", "-meter", "meter-", "a..b", "x" * 64,
        ".".join(["x" * 60] * 5), "http://meter", "meter:502", "métèr",
        "rtu+tcp://", "rtu+tcp://1.2.3", "serial:", "serial:ttyUSB0", "serial:/etc/passwd",
        "/dev/../etc/passwd", "/dev/tty USB0", "serial:/dev/ttyUSB0?baudrate=1", "/dev/",
        "serial:/dev/ttyUSB0?parity=X", "serial:/dev/ttyUSB0?speed=9600",
        "serial:/dev/ttyUSB0?baudrate=fast", "serial:/dev/ttyUSB0?stopbits=3",
    ],
)  # fmt: skip
def test_what_is_neither_an_address_nor_a_name_is_refused(written: str) -> None:
    with pytest.raises(HostAddressError):
        host_address(written)


def test_a_bus_is_what_its_slaves_share() -> None:
    network = bus_address("meter.example", port=502)
    assert network == BusAddress(Wire.TCP, "meter.example", 502)
    assert bus_address("rtu+tcp://meter.example", port=502).key == network.key
    line = bus_address("serial:/dev/ttyUSB0?baudrate=19200&parity=E", port=502)
    assert line == BusAddress(Wire.SERIAL, "/dev/ttyUSB0", baudrate=19200, parity="E")
    assert line.key == bus_address("serial:/dev/ttyUSB0", port=503).key
