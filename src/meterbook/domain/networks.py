"""Networks as settings write them: `127.0.0.0/8, ::1/128`."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


class NetworksError(ValueError):
    """Not a list of networks such as 127.0.0.0/8, ::1/128."""


def networks(written: str) -> tuple[Network, ...]:
    """
    Return the networks of a comma-separated text.

    :raises NetworksError: if one is not a network.
    """
    try:
        return tuple(ip_network(part.strip()) for part in written.split(",") if part.strip())
    except ValueError as error:
        raise NetworksError(f"not a list of networks: {error}") from None


def address_behind(address: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """
    Return where a request comes from: each trusted proxy is believed about the one before it.

    :param address: who is connected to us.
    :param forwarded: `X-Forwarded-For`, the farthest first; empty: none.

    >>> proxies = networks("10.0.0.0/8")
    >>> address_behind("10.0.0.2", "203.0.113.9, 198.51.100.7, 10.0.0.1", proxies)
    '198.51.100.7'
    >>> address_behind("198.51.100.7", "203.0.113.9", proxies)
    '198.51.100.7'
    """
    told = forwarded.split(",")
    while told and is_within(address, proxies):
        address = told.pop().strip() or address
    return address


def is_within(address: str, places: Sequence[Network]) -> bool:
    """
    Say whether the address lies in one of the networks; what is no address lies in none.

    >>> is_within("::ffff:127.0.0.1", networks("127.0.0.0/8"))
    True
    """
    if not places:
        return False
    try:
        place = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(place, "ipv4_mapped", None)
    return any((mapped or place) in network for network in places)
