"""
Who may send: keys, trusted networks, and the brake on guessing keys.

Behind a proxy on this machine every address is loopback: a request that carries a forwarding
header is therefore never taken as coming from a trusted network.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from meterbook.access import sender_address
from meterbook.domain.networks import Network, is_within

REFUSALS_PER_MINUTE_MAX = 60  # a fleet with a wrong key notices; a guesser gets nowhere
ADDRESSES_MAX = 10_000  # remembered at once; bounds the memory a flood of addresses takes
_BEARER = re.compile(rb"\s*(?:bearer|token)\s+(\S{1,256})\s*", re.IGNORECASE)
_FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})


class KeyRequiredError(PermissionError):
    """No key, and not from a trusted network."""


def key_hash(key: str | bytes) -> str:
    """Return what is stored of a key: its SHA-256 in hex. Keys are random, so no salt is needed."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).hexdigest()


class Senders:
    """Tells a sender's key from the request, and slows down those who guess."""

    def __init__(self, trusted: Sequence[Network], *, proxies: Sequence[Network] = ()) -> None:
        """
        Nobody has guessed yet.

        :param proxies: whose word is believed about where a request comes from: without them one
            guesser behind a proxy would make everybody behind it wait.
        """
        self._trusted = trusted
        self._proxies = proxies
        self._trusted_addresses: dict[str, bool] = {}
        self._refusals: dict[str, int] = {}
        self._minute = 0

    def key_hash_of(self, scope: dict[str, Any], headers: Mapping[bytes, bytes]) -> str | None:
        """
        Return the hash of the key in the request; None if it needs none.

        :raises KeyRequiredError: if it has no key and is not from a trusted network.
        """
        shown = headers.get(b"authorization")
        if shown is not None:
            match = _BEARER.fullmatch(shown)
            if not match:
                raise KeyRequiredError("Authorization must be 'Bearer' and the meter's key")
            return key_hash(match[1])
        self.require_trusted(scope, headers)
        return None

    def require_trusted(self, scope: dict[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """
        Make sure that the request needs no key.

        :raises KeyRequiredError: if it is not from a trusted network.
        """
        forwarded = not _FORWARDING.isdisjoint(headers)
        if forwarded or not self._is_trusted((scope.get("client") or ("",))[0]):
            raise KeyRequiredError("a key is required from this network")

    def refused(self, scope: dict[str, Any], *, now: float) -> None:
        """Remember that this address showed a wrong key."""
        self._start_minute(now)
        address = self._address(scope)
        if address in self._refusals or len(self._refusals) < ADDRESSES_MAX:
            self._refusals[address] = self._refusals.get(address, 0) + 1

    def must_wait_s(self, scope: dict[str, Any], *, now: float) -> int:
        """Return for how many seconds this address may not try again; 0 if it may."""
        if not self._refusals:
            return 0
        self._start_minute(now)
        count = self._refusals.get(self._address(scope), 0)
        return 60 - int(now % 60) if count >= REFUSALS_PER_MINUTE_MAX else 0

    def _address(self, scope: dict[str, Any]) -> str:
        return sender_address(scope, proxies=self._proxies)

    def _start_minute(self, now: float) -> None:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute = minute
            self._refusals.clear()

    def _is_trusted(self, address: str) -> bool:
        known = self._trusted_addresses.get(address)
        if known is None:
            if len(self._trusted_addresses) >= ADDRESSES_MAX:
                self._trusted_addresses.clear()
            known = is_within(address, self._trusted)
            self._trusted_addresses[address] = known
        return known
