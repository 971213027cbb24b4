"""
Records packets: the commit that `group_commit` makes for many requests at once.

Nearly always every packet of a batch is new, of a known meter, with the right key: one statement,
a transaction of its own, stores them all. Only when it stored fewer is the batch looked at packet
by packet.
"""

import threading
import time
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter

from meterbook import daybook
from meterbook.daybook import Recorded
from meterbook.domain.local_days import grid_offset_s, time_zone
from meterbook.domain.readings import Reading, packet_starts_at
from meterbook.intake.packet_fields import Packet
from meterbook.registry import meters
from meterbook.storage.database import Database, is_conflict, is_node_away, is_unreachable

# Counted here, once a batch, because once a packet would be felt.
PACKETS = Counter("meterbook_packets_total", "Packets by outcome.", ["outcome"])
_STORED = {recorded: PACKETS.labels(recorded.value) for recorded in Recorded}
_TRIES_MAX = 8  # of one batch, against other processes recording the same intervals


class CannotStoreError(RuntimeError):
    """The database is away, full or stuck: nothing was stored, try again later."""


class NodeAwayError(CannotStoreError):
    """A node of a cluster is away that some of the packets belong to; the others could be."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A packet and what its sender may do."""

    packet: Packet
    key_hash: str | None
    """SHA-256 of the key it came with; None from a trusted network without a key."""


class KeyRefused(msgspec.Struct, frozen=True):
    """The meter has another key, or has one and the packet has none."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """The packet is on disk."""

    starts_at: int
    recorded: Recorded


Answer = Stored | KeyRefused


class PacketRecorder:
    """Stores batches of packets in one database."""

    def __init__(self, database: Database, *, default_zone: str) -> None:
        """
        Prepare; opens nothing.

        :param default_zone: the IANA zone of meters nobody has registered.
        """
        self._database = database
        self._default_zone = default_zone
        self._grid_offset_s = grid_offset_s(time_zone(default_zone))
        self._received_at_ms = 0
        self._one_at_a_time = threading.Lock()  # uploads record in threads of their own

    def record(self, arrivals: Sequence[Arrival]) -> list[Answer]:
        """
        Store the arrivals durably and return one answer for each, in their order.

        :raises CannotStoreError: if the database cannot; nothing was stored.
        :raises NodeAwayError: if it is a part of it that cannot; nothing was stored either.
        """
        received_at_ms = self._next_received_at_ms()
        try:
            answers = self._record_new(arrivals, received_at_ms)
            if answers:
                _STORED[Recorded.NEW].inc(len(answers))
                return answers
            answers = self._record_with_care(arrivals, received_at_ms)
        except Exception as error:
            if is_node_away(error):
                raise NodeAwayError(str(error)) from error
            if is_unreachable(error) or isinstance(error, daybook.ConcurrentChangeError):
                raise CannotStoreError(str(error)) from error
            raise
        for answer in answers:
            if isinstance(answer, Stored):
                _STORED[answer.recorded].inc()
        return answers

    def refused_meters(self, meter_ids: set[int], *, key_hash: str | None) -> set[int]:
        """
        Return the meters that this key, or none, may not write.

        :raises CannotStoreError: if the database cannot be asked.
        """
        try:
            with self._database.reading() as connection:
                return meters.refused_meters(connection, meter_ids, key_hash=key_hash)
        except Exception as error:
            if is_unreachable(error):
                raise CannotStoreError(str(error)) from error
            raise

    def _next_received_at_ms(self) -> int:
        with self._one_at_a_time:
            self._received_at_ms = max(time.time_ns() // 1_000_000, self._received_at_ms + 1)
            return self._received_at_ms

    def _record_new(self, arrivals: Sequence[Arrival], received_at_ms: int) -> list[Answer]:
        offset_s = self._grid_offset_s
        starts = [packet_starts_at(each.packet.stamp, grid_offset_s=offset_s) for each in arrivals]
        rows = [
            (each.packet.meter_id, starts_at, each.packet.energy_wh, each.key_hash)
            for each, starts_at in zip(arrivals, starts, strict=True)
        ]
        try:
            stored = daybook.record_new_packets(
                self._database,
                rows,
                grid_offset_s=offset_s,
                received_at_ms=received_at_ms,
            )
        except sa.exc.DBAPIError as error:
            if not is_conflict(error):
                raise
            return []
        if stored < len(rows):
            return []
        return [Stored(starts_at, Recorded.NEW) for starts_at in starts]

    def _record_with_care(self, arrivals: Sequence[Arrival], received_at_ms: int) -> list[Answer]:
        for _ in range(_TRIES_MAX - 1):
            try:
                return self._record_with_care_once(arrivals, received_at_ms)
            except (daybook.ConcurrentChangeError, sa.exc.DBAPIError) as error:
                if isinstance(error, sa.exc.DBAPIError) and not is_conflict(error):
                    raise
        return self._record_with_care_once(arrivals, received_at_ms)

    def _record_with_care_once(
        self, arrivals: Sequence[Arrival], received_at_ms: int
    ) -> list[Answer]:
        with self._database.writing() as connection:
            numbers = {arrival.packet.meter_id for arrival in arrivals}
            known = meters.installations_of(connection, numbers)
            # A key proves nothing about a meter we do not know: only keyless packets make one.
            strangers = {
                arrival.packet.meter_id
                for arrival in arrivals
                if arrival.key_hash is None and arrival.packet.meter_id not in known
            }
            if strangers:
                meters.add_meters(
                    connection, strangers, zone=self._default_zone, now=received_at_ms // 1000
                )
                known |= meters.installations_of(connection, strangers)
            readings: list[Reading] = []
            answers: list[Answer | None] = []
            for arrival in arrivals:
                reading = reading_of(arrival, known.get(arrival.packet.meter_id, []))
                if reading is None:
                    answers.append(KeyRefused())
                    continue
                readings.append(reading)
                answers.append(None)
            done = daybook.record_readings(connection, readings, received_at_ms=received_at_ms)
            stored = iter(
                [Stored(r.starts_at, recorded) for r, recorded in zip(readings, done, strict=True)]
            )
            return [answer or next(stored) for answer in answers]


def reading_of(arrival: Arrival, known: Sequence[meters.Installation]) -> Reading | None:
    """Return the reading a packet makes of its meter's channel; None if it may not."""
    if not known or known[0].key_hash != arrival.key_hash:
        return None
    packet = arrival.packet
    place = meters.installation_at(known, packet.stamp - 1)
    starts_at = packet_starts_at(packet.stamp, grid_offset_s=place.grid_offset_s)
    place = meters.installation_at(known, starts_at)
    return Reading(place.channel_id, starts_at, packet.energy_wh)
