"""What reading a host once, now, for somebody who watches, has shown: raw words and numbers."""

import msgspec

from meterbook.domain.host_polls import PollFailure


class RegisterProbe(msgspec.Struct, frozen=True, omit_defaults=True):
    """One register: its words, what they mean, or why they could not be read."""

    measurement: str
    address: int
    function_code: int
    unit: str
    words: list[str] = []
    """The raw words, four hexadecimal digits each, in the order of their addresses."""
    number: str | None = None
    """The number in `unit`, scaled, exactly; null where the device says it has no value."""
    failure: PollFailure | None = None
    reason: str = ""
    """Of a failure, in words."""


class HostProbe(msgspec.Struct, frozen=True):
    """One reading of every register of a host's meter model."""

    host: int
    bus: str
    """Where it was asked: address and port, or serial line."""
    slave_address: int
    latency_ms: int
    requests: int
    """How many requests it took."""
    registers: list[RegisterProbe]
