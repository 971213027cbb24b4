"""What became of the packets a fleet sent, and how long the answers took."""

from collections import Counter
from math import exp, log

import msgspec

_STEP = log(1.02)  # two latencies closer than 2 % count as one: memory stays flat for days
_SHORTEST_S = 1e-6


class Latency(msgspec.Struct, frozen=True):
    """How long acknowledged packets took, in seconds; percentiles to within 2 %."""

    p50_s: float
    p95_s: float
    p99_s: float
    longest_s: float


class Outcomes:
    """Counts packets by outcome while they are sent."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """Answered with a success: the server has them on disk."""
        self.refused: Counter[int] = Counter()
        """By status: packets the server will never take, not sent again."""
        self.put_off: Counter[str] = Counter()
        """By reason: times a packet had to be sent again."""
        self.in_flight = 0
        """Due, but not answered for good; after the end: never acknowledged."""
        self.behind_s = 0.0
        """How long after it was due the most belated packet was first sent."""
        self._latencies: Counter[int] = Counter()
        self._longest_s = 0.0

    def acknowledge(self, latency_s: float) -> None:
        """Count a packet that was answered with a success after that time."""
        self.acknowledged += 1
        self._latencies[int(log(max(latency_s, _SHORTEST_S) / _SHORTEST_S) / _STEP)] += 1
        self._longest_s = max(self._longest_s, latency_s)

    def latency(self) -> Latency | None:
        """Return how long the answers took; None if there was none."""
        if not self.acknowledged:
            return None
        return Latency(
            self._percentile_s(0.50),
            self._percentile_s(0.95),
            self._percentile_s(0.99),
            self._longest_s,
        )

    def _percentile_s(self, share: float) -> float:
        wanted = share * self.acknowledged
        seen = 0
        for step in sorted(self._latencies):
            seen += self._latencies[step]
            if seen >= wanted:
                return min(_SHORTEST_S * exp((step + 0.5) * _STEP), self._longest_s)
        return self._longest_s
