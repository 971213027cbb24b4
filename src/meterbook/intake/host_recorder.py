"""
Records polls of hosts: the commit that `group_commit` makes for many polls at once.

    poll ─► of the moment ─► mean of its minute (least and greatest, if sampled more often)
         └► counter       ─► dial by the minute, energy of every five minutes that ended
         └► health of the host

All in one transaction with the state of every channel touched: a poll delivered again is known by
its time and changes nothing, and a crash leaves the poll either recorded or not.
"""

import time
from collections.abc import Sequence
from enum import Enum

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter

from meterbook import daybook
from meterbook.domain.counters import CounterState, count_sample, each_interval
from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.minutes import Minute, minute_of, with_sample
from meterbook.domain.modbus_numbers import MeasurementKind
from meterbook.domain.readings import Quality, Reading
from meterbook.intake.recorder import CannotStoreError
from meterbook.registry.host_health import (
    FailureCount,
    HostHealth,
    count_failures,
    health_after,
    hold_hosts,
    save_health,
)
from meterbook.registry.polled_channels import (
    RATED_POWER_W,
    PolledChannel,
    extreme_channels,
    polled_channels,
    save_states,
)
from meterbook.storage.database import Database, is_conflict, is_unreachable

RECORDED_POLLS = Counter(
    "meterbook_recorded_polls_total", "Polls given to the books by outcome.", ["outcome"]
)
QUARANTINED = Counter(
    "meterbook_quarantined_samples_total", "Counter samples that do not follow from those before."
)
_TRIES_MAX = 8  # of one batch, against other processes polling the same hosts
_encode = msgspec.json.Encoder().encode
_decode_minute = msgspec.json.Decoder(Minute).decode
_decode_counter = msgspec.json.Decoder(CounterState).decode


class PollOutcome(Enum):
    """What recording a poll did."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    """It is not newer than the last of that host: delivered again, or out of order."""
    UNKNOWN_HOST = "unknown-host"
    """The host is gone, archived, or has nothing assigned."""


class _Sampled:
    """A channel of a host while a batch is recorded."""

    def __init__(self, channel: PolledChannel) -> None:
        self.channel = channel
        self.sampled_at_ms = channel.sampled_at_ms or -1
        self.amount = 0
        self.quality = Quality.RAW
        self.is_touched = False
        self.minute: Minute | None = None
        self.counter = CounterState()
        self.is_counter = channel.kind is MeasurementKind.HISTORICAL
        if channel.state is not None and self.is_counter:
            self.counter = _decode_counter(channel.state)
        elif channel.state is not None:
            self.minute = _decode_minute(channel.state)

    @property
    def state(self) -> Minute | CounterState | None:
        return self.counter if self.is_counter else self.minute


class _Gathered:
    """The rows that a batch of polls leads to."""

    def __init__(self) -> None:
        self.running: dict[tuple[int, int], Reading] = {}
        self.minutes: dict[tuple[int, int], Minute] = {}
        self.energies: list[Reading] = []
        self.failures: dict[tuple[int, PollFailure], FailureCount] = {}
        self.quarantined = 0

    def take(self, poll: HostPoll, channels: dict[str, _Sampled]) -> None:
        begun_at_ms = poll.polled_at_ms - poll.latency_ms
        for measurement, amount in poll.amounts.items():
            sampled = channels.get(measurement)
            if sampled is None or amount is None or begun_at_ms <= sampled.sampled_at_ms:
                continue
            if sampled.is_counter:
                kept, quality = amount, self._count(sampled, begun_at_ms, amount)
            else:
                sampled.minute = with_sample(sampled.minute, at_ms=begun_at_ms, amount=amount)
                kept, quality = sampled.minute.mean, Quality.RAW
                if sampled.minute.lowest != sampled.minute.highest:
                    key = (sampled.channel.channel_id, sampled.minute.starts_at)
                    self.minutes[key] = sampled.minute
            sampled.sampled_at_ms, sampled.amount = begun_at_ms, amount
            sampled.quality, sampled.is_touched = quality, True
            self._keep(sampled, begun_at_ms, kept, quality)
        for failure in set(poll.failures.values()):
            counted = self.failures.get((poll.host_id, failure), FailureCount(0, 0))
            self.failures[poll.host_id, failure] = FailureCount(
                counted.polls + 1, poll.polled_at_ms
            )

    def _count(self, sampled: _Sampled, at_ms: int, dial: int) -> Quality:
        limits, channel_id = sampled.channel.limits, sampled.channel.energy_channel_id
        counted = count_sample(sampled.counter, at_ms=at_ms, dial=dial, limits=limits)
        sampled.counter = counted.state
        if channel_id is not None:
            self.energies += [
                Reading(channel_id, *interval) for interval in each_interval(counted.energies)
            ]
        if counted.odd is not None:
            self._keep(sampled, *counted.odd, Quality.QUESTIONABLE)
            self._keep(sampled, sampled.sampled_at_ms, sampled.amount, Quality.RAW)
        self.quarantined += counted.is_questionable
        return Quality.QUESTIONABLE if counted.is_questionable else Quality.RAW

    def _keep(self, sampled: _Sampled, at_ms: int, amount: int, quality: Quality) -> None:
        starts_at, channel_id = minute_of(at_ms), sampled.channel.channel_id
        self.running[starts_at, channel_id] = Reading(channel_id, starts_at, amount, quality)


class HostRecorder:
    """Stores batches of polls in one database."""

    def __init__(self, database: Database, *, rated_power_w: int = RATED_POWER_W) -> None:
        """
        Prepare; opens nothing.

        :param rated_power_w: bounds the counters of hosts that have no rated power of their own.
        """
        self._database = database
        self._rated_power_w = rated_power_w
        self._received_at_ms = 0

    def record(self, polls: Sequence[HostPoll]) -> list[PollOutcome]:
        """
        Store the polls durably and return one outcome for each, in their order.

        Polls of one host count in the order of their times; call it from one thread at a time.

        :raises CannotStoreError: if the database cannot; nothing was stored. Give it all of them
            again: what was stored after all is not stored twice.
        """
        self._received_at_ms = max(time.time_ns() // 1_000_000, self._received_at_ms + 1)
        for tries_left in reversed(range(_TRIES_MAX)):
            try:
                outcomes, quarantined = self._record_once(polls)
                break
            except Exception as error:
                if tries_left and (
                    is_conflict(error) or isinstance(error, daybook.ConcurrentChangeError)
                ):
                    continue
                if is_unreachable(error) or isinstance(error, daybook.ConcurrentChangeError):
                    raise CannotStoreError(str(error)) from error
                raise
        for outcome in outcomes:
            RECORDED_POLLS.labels(outcome.value).inc()
        QUARANTINED.inc(quarantined)
        return outcomes

    def _record_once(self, polls: Sequence[HostPoll]) -> tuple[list[PollOutcome], int]:
        with self._database.writing() as connection:
            healths = hold_hosts(connection, {poll.host_id for poll in polls})
            channels: dict[int, dict[str, _Sampled]] = {host_id: {} for host_id in healths}
            for channel in polled_channels(connection, healths, rated_power_w=self._rated_power_w):
                channels[channel.host_id][channel.measurement] = _Sampled(channel)
            gathered = _Gathered()
            outcomes = dict.fromkeys(range(len(polls)), PollOutcome.UNKNOWN_HOST)
            for index in sorted(range(len(polls)), key=lambda i: polls[i].polled_at_ms):
                poll = polls[index]
                health = healths.get(poll.host_id)
                if health is None:
                    continue
                outcomes[index] = PollOutcome.REPEATED
                if poll.polled_at_ms > health.attempted_at_ms:
                    outcomes[index] = PollOutcome.RECORDED
                    gathered.take(poll, channels[poll.host_id])
                    healths[poll.host_id] = health_after(health, poll)
            self._store(connection, gathered, healths, channels)
        return list(outcomes.values()), gathered.quarantined

    def _store(
        self,
        connection: sa.Connection,
        gathered: _Gathered,
        healths: dict[int, HostHealth],
        channels: dict[int, dict[str, _Sampled]],
    ) -> None:
        running = [*gathered.running.values(), *_extremes(connection, gathered.minutes)]
        daybook.record_running(connection, running, received_at_ms=self._received_at_ms)
        daybook.record_readings(connection, gathered.energies, received_at_ms=self._received_at_ms)
        save_states(
            connection,
            {
                sampled.channel.channel_id: (
                    sampled.sampled_at_ms,
                    sampled.amount,
                    sampled.quality,
                    _encode(sampled.state).decode(),
                )
                for of_host in channels.values()
                for sampled in of_host.values()
                if sampled.is_touched
            },
        )  # fmt: skip
        polled = {
            host_id: health for host_id, health in healths.items() if health.attempted_at_ms >= 0
        }
        save_health(connection, polled)
        count_failures(connection, gathered.failures)


def _extremes(connection: sa.Connection, minutes: dict[tuple[int, int], Minute]) -> list[Reading]:
    if not minutes:
        return []
    beside = extreme_channels(connection, [channel_id for channel_id, _ in minutes])
    return [
        Reading(beside[channel_id][index], starts_at, amount)
        for (channel_id, starts_at), minute in minutes.items()
        for index, amount in enumerate((minute.lowest, minute.highest))
    ]
