"""
Where a host is: how a network or a serial line leads to it, in one text.

    10.0.0.7, meter.example              Modbus TCP
    rtu+tcp://10.0.0.7                   RTU frames over TCP, as simple gateways pass them on
    /dev/ttyUSB0, serial:/dev/ttyUSB0    RTU on a serial line, 9600 baud, 8N1
    serial:/dev/ttyUSB0?baudrate=19200&parity=E&stopbits=1

On a serial line the port number means nothing: the same line is the same bus whatever it is.
"""

import re
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import parse_qsl

import msgspec

HOST_CHARACTERS_MAX = 253
BAUDRATES = (1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800, 115200, 230400)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_DEVICE = re.compile(r"/dev/[A-Za-z0-9._:@+-]+(?:/[A-Za-z0-9._:@+-]+)*", re.ASCII)
_SERIAL = "serial:"
_RTU_OVER_TCP = "rtu+tcp://"
_RTU_FORMS = (_RTU_OVER_TCP, "rtu://", "rtuovertcp://")


class HostAddressError(ValueError):
    """Neither an address nor a host name nor a serial line."""


class Wire(StrEnum):
    """How frames travel."""

    TCP = "tcp"
    RTU_OVER_TCP = "rtu+tcp"
    SERIAL = "serial"


class BusAddress(msgspec.Struct, frozen=True):
    """One bus: what all the slave addresses behind it share."""

    wire: Wire
    place: str
    """Address or name on the network, or the serial device."""
    port: int = 0
    """0 on a serial line."""
    baudrate: int = 9600
    parity: str = "N"
    """N, E or O."""
    stopbits: int = 1

    @property
    def key(self) -> tuple[str, int]:
        """What makes it one bus: RTU and TCP frames to one port are still one connection."""
        return self.place, self.port


def host_address(written: str) -> str:
    """
    Return the address as it is stored: one spelling for one address.

    >>> host_address("FE80::0:1"), host_address("Meter-1.example")
    ('fe80::1', 'meter-1.example')
    >>> host_address("rtu://[FE80::1]"), host_address("/dev/ttyUSB0")
    ('rtu+tcp://fe80::1', 'serial:/dev/ttyUSB0')

    :raises HostAddressError: if it is none of the forms.
    """
    text = written.strip()
    if text.startswith(("/dev/", _SERIAL)):
        return _serial_text(_serial_address(text))
    for form in _RTU_FORMS:
        if text.lower().startswith(form):
            return _RTU_OVER_TCP + _network_address(text[len(form) :])
    return _network_address(text)


def bus_address(stored: str, *, port: int) -> BusAddress:
    """
    Return the bus of a stored address.

    :raises HostAddressError: if it is none of the forms.
    """
    if stored.startswith(_SERIAL):
        return _serial_address(stored)
    if stored.startswith(_RTU_OVER_TCP):
        return BusAddress(Wire.RTU_OVER_TCP, stored.removeprefix(_RTU_OVER_TCP), port)
    return BusAddress(Wire.TCP, stored, port)


def _network_address(text: str) -> str:
    try:
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    name = text.removesuffix(".").lower()
    labels = name.split(".")
    # A name whose last label is a number is an IPv4 address written wrong.
    if (
        not name
        or len(name) > HOST_CHARACTERS_MAX
        or labels[-1].isdigit()
        or not all(_LABEL.fullmatch(label) for label in labels)
    ):
        raise HostAddressError(
            "must be an IPv4 address, an IPv6 address or a host name, rtu+tcp:// before it, "
            "or a serial line such as serial:/dev/ttyUSB0?baudrate=9600"
        )
    return name


def _serial_address(text: str) -> BusAddress:
    device, _, query = text.removeprefix(_SERIAL).partition("?")
    if not _DEVICE.fullmatch(device) or ".." in device or len(text) > HOST_CHARACTERS_MAX:
        raise HostAddressError("must name a serial device below /dev/, as serial:/dev/ttyUSB0")
    try:
        asked = dict(parse_qsl(query, strict_parsing=True)) if query else {}
        address = BusAddress(
            Wire.SERIAL,
            device,
            baudrate=int(asked.pop("baudrate", 9600)),
            parity=asked.pop("parity", "N").upper(),
            stopbits=int(asked.pop("stopbits", 1)),
        )
    except ValueError:
        raise HostAddressError("has line settings that are none") from None
    if asked:
        raise HostAddressError(f"has no line setting {min(asked)}: baudrate, parity, stopbits")
    if address.baudrate not in BAUDRATES:
        raise HostAddressError(f"baudrate must be one of {', '.join(map(str, BAUDRATES))}")
    if address.parity not in {"N", "E", "O"} or address.stopbits not in {1, 2}:
        raise HostAddressError("parity must be N, E or O, stopbits 1 or 2")
    return address


def _serial_text(address: BusAddress) -> str:
    usual = BusAddress(Wire.SERIAL, address.place)
    settings = [
        f"{name}={getattr(address, name)}"
        for name in ("baudrate", "parity", "stopbits")
        if getattr(address, name) != getattr(usual, name)
    ]
    return _SERIAL + address.place + ("?" + "&".join(settings) if settings else "")
