"""
Recording node by node, while a node of a cluster is away.

A batch is one statement for all nodes: with one of them away nothing of it is stored. From then on
each node's packets go by themselves: the living ones' are stored, those of the one that is away
are refused at once, and asked for again until it is back. One database has nothing to part.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from meterbook.intake.recorder import (
    Answer,
    Arrival,
    CannotStoreError,
    NodeAwayError,
    PacketRecorder,
    reading_of,
)
from meterbook.registry import meters
from meterbook.storage.database import Database, is_unreachable
from meterbook.storage.dialects import is_distributed
from meterbook.storage.distribution import nodes_of

AWAY_S = 5.0  # before one that was away is asked again: as long as senders are asked to wait
_EVERY_NODE = -1  # of meters nobody knows: every node would have to learn of them

Outcome = Answer | CannotStoreError


class RecorderByNode:
    """Stores batches of packets, each answered by itself; for one thread."""

    def __init__(
        self,
        recorder: PacketRecorder,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Prepare; opens nothing.

        :param clock: never goes back, in seconds.
        """
        self._recorder = recorder
        self._database = database
        self._clock = clock
        self._away: dict[int, float] = {}
        """Nodes that were away, and until when they are not asked."""

    def record(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        """
        Store the arrivals durably and return one answer for each, in their order.

        :returns: an error in place of an answer that cannot be given: that packet was not stored.
        :raises CannotStoreError: if the database cannot; nothing was stored.
        """
        if not self._away:
            try:
                return self._recorder.record(arrivals)
            except NodeAwayError:
                places = self._places(arrivals)
                if places is None:
                    raise
        else:
            places = self._places(arrivals) or {}
        outcomes: dict[int, Outcome] = {}
        for node, numbers in places.items():
            some = self._record_of_node(node, [arrivals[number] for number in numbers])
            outcomes |= dict(zip(numbers, some, strict=True))
        return [outcomes[number] for number in range(len(arrivals))]

    def _record_of_node(self, node: int, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        if self._clock() < self._away.get(node, 0.0):
            return [CannotStoreError("its node is away")] * len(arrivals)
        try:
            answers = self._recorder.record(arrivals)
        except CannotStoreError as error:
            if isinstance(error, NodeAwayError):
                self._away[node] = self._clock() + AWAY_S
            return [error] * len(arrivals)
        self._away.pop(node, None)
        return answers

    def _places(self, arrivals: Sequence[Arrival]) -> dict[int, list[int]] | None:
        """Return the places of each node's packets in the batch; None: this is no cluster."""
        try:
            with self._database.reading() as connection:
                if not is_distributed(connection):
                    return None
                known = meters.installations_of(
                    connection, {arrival.packet.meter_id for arrival in arrivals}
                )
                readings = [
                    reading_of(arrival, known.get(arrival.packet.meter_id, []))
                    for arrival in arrivals
                ]
                channel_ids = np.array([each.channel_id if each else 0 for each in readings])
                nodes = nodes_of(connection, channel_ids)
        except Exception as error:
            if is_unreachable(error):
                raise CannotStoreError(str(error)) from error
            raise
        places: dict[int, list[int]] = {}
        for number, (reading, node) in enumerate(zip(readings, nodes.tolist(), strict=True)):
            places.setdefault(node if reading else _EVERY_NODE, []).append(number)
        return places
