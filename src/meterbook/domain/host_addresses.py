"""Where a host is: an IPv4 or IPv6 address, or a host name (RFC 1123)."""

import re
from ipaddress import ip_address

HOST_CHARACTERS_MAX = 253
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)


class HostAddressError(ValueError):
    """Neither an address nor a host name."""


def host_address(written: str) -> str:
    """
    Return the address as it is stored: one spelling for one address.

    >>> host_address("FE80::0:1"), host_address("Meter-1.example")
    ('fe80::1', 'meter-1.example')

    :raises HostAddressError: if it is neither an address nor a host name.
    """
    text = written.strip()
    try:
        return str(ip_address(text))
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
        raise HostAddressError("must be an IPv4 address, an IPv6 address or a host name")
    return name
