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


def is_within(address: str, places: Sequence[Network]) -> bool:
    """
    Say whether the address lies in one of the networks; what is no address lies in none.

    >>> is_within("::ffff:127.0.0.1", networks("127.0.0.0/8"))
    True
    """
    try:
        place = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(place, "ipv4_mapped", None)
    return any((mapped or place) in network for network in places)
