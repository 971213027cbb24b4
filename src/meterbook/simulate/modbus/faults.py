"""What can be wrong with a virtual device, on demand: always, or a share of the times."""

from collections.abc import Iterable
from enum import StrEnum
from random import Random

SLOW_S = 4.0  # longer than a collector waits


class Fault(StrEnum):
    """One way to be wrong."""

    SILENCE = "silence"
    """Takes requests and never answers."""
    SLOW = "slow"
    """Answers seconds later."""
    EXCEPTIONS = "exceptions"
    """Answers with exception 4, device failure."""
    WRONG_TRANSACTION = "wrong-transaction"
    """Answers under another transaction number; on RTU, as another slave."""
    CUT_FRAME = "cut-frame"
    """Sends half of an answer and closes the connection."""
    SENTINELS = "sentinels"
    """Says "no value" in every register that can."""
    COUNTER_RESET = "counter-reset"
    """Its counters began anew when the fault did."""
    COUNTER_GLITCH = "counter-glitch"
    """Its counters read 0."""


class FaultTextError(ValueError):
    """Not a fault."""


class Faults:
    """The faults of one device; may be changed while it runs."""

    def __init__(self, shares: dict[Fault, float] | None = None, *, seed: int = 0) -> None:
        """
        Prepare.

        :param shares: how often each fault shows, 0 to 1.
        """
        self.shares = dict(shares or {})
        self._chance = Random(seed)

    def strikes(self, fault: Fault) -> bool:
        """Say whether the fault shows this time."""
        share = self.shares.get(fault, 0.0)
        return share >= 1 or (share > 0 and self._chance.random() < share)


def faults_of(texts: Iterable[str]) -> dict[Fault, float]:
    """
    Return faults by how often they show.

    >>> faults_of(["slow", "cut-frame:0.1"]) == {Fault.SLOW: 1.0, Fault.CUT_FRAME: 0.1}
    True

    :raises FaultTextError: if there is no such fault, or its share is not 0 to 1.
    """
    shares = {}
    for text in texts:
        name, _, share = text.partition(":")
        try:
            fault, how_often = Fault(name), float(share or 1)
        except ValueError:
            known = ", ".join(fault.value for fault in Fault)
            raise FaultTextError(f"{text} is no fault; there are {known}") from None
        if not 0 <= how_often <= 1:
            raise FaultTextError(f"{text}: a share is 0 to 1")
        shares[fault] = how_often
    return shares
