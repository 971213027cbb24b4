"""
What one poll of a host brought: amounts, gaps, and what went wrong.

A poll is partial as a rule, not as an exception: what could be read counts, what could not is
named, and a register that says "no value" is neither an amount nor a failure.
"""

from enum import StrEnum

import msgspec


class PollFailure(StrEnum):
    """Why a host, or some registers of it, could not be read."""

    UNREACHABLE = "unreachable"
    """No connection: refused, no route, no such name."""
    TIMEOUT = "timeout"
    """Connected, but no answer in time."""
    EXCEPTION = "exception"
    """The device answered with a Modbus exception."""
    WRONG_ANSWER = "wrong-answer"
    """Another transaction id, slave address, function or length than asked for."""
    CUT_FRAME = "cut-frame"
    """The connection ended, or the checksum failed, in the middle of an answer."""


class HostPoll(msgspec.Struct, frozen=True, gc=False):
    """One reading of a host's assigned measurements."""

    host_id: int
    polled_at_ms: int
    """When the poll's answers were there, UTC epoch milliseconds."""
    amounts: dict[str, int | None]
    """
    By measurement: whole Wh for energy, else thousandths of the channel's unit; None where the
    device says it has no value. A measurement that failed is not here.
    """
    failures: dict[str, PollFailure]
    """By measurement: why it could not be read. All of them, if the host did not answer at all."""
    latency_ms: int
    """From the first request to the last answer."""
