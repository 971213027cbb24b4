"""Polls of hosts: what each stores, once, whatever becomes of the process or of the sender."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterbook.day_close import close_day
from meterbook.domain.host_polls import HostPoll, PollFailure
from meterbook.domain.readings import Counting, Quality
from meterbook.intake.host_recorder import HostRecorder, PollOutcome
from meterbook.intake.recorder import CannotStoreError
from meterbook.ledger import decode_intervals
from meterbook.queries.invariants import CHECKS
from meterbook.registry.host_health import FailureCount, failures_of_host, health_of_host
from meterbook.registry.hosts import remove_host
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.tables import (
    channels,
    daybook,
    ledger,
    superseded_readings,
)
from polled import EXPORTED, IMPORTED, home, open_rows, poll

MIDNIGHT = 1_738_972_800  # 2025-02-08
DAY = date(2025, 2, 8)
UTC = ZoneInfo("UTC")
RAW = int(Quality.RAW)


def minutes(host_id: int, first: int, dials: list[int], *, power: int = 600_000) -> list[HostPoll]:
    return [
        poll(host_id, MIDNIGHT + 60 * (first + i), {IMPORTED: dial, "active_power": power})
        for i, dial in enumerate(dials)
    ]


def findings(database: Database) -> list[str]:
    with database.reading() as connection:
        return [found for check in CHECKS.values() for found in check(connection)]


def test_a_poll_a_minute_is_a_reading_a_minute_and_energy_every_five(database: Database) -> None:
    [host_id] = home(database).hosts
    recorder = HostRecorder(database)
    for some in minutes(host_id, 0, [1_000 + 10 * i for i in range(61)]):
        assert recorder.record([some]) == [PollOutcome.RECORDED]

    power = open_rows(database, host_id, "active_power", Counting.INSTANT)
    assert power == {MIDNIGHT + 60 * i: (600_000, RAW) for i in range(61)}
    dials = open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE)
    assert [amount for amount, _ in dials.values()] == [1_000 + 10 * i for i in range(61)]
    energy = open_rows(database, host_id, IMPORTED, Counting.INTERVAL)
    assert energy == {MIDNIGHT + 300 * i: (50, RAW) for i in range(12)}
    assert findings(database) == []


def test_more_than_a_poll_a_minute_keeps_mean_least_and_greatest(database: Database) -> None:
    [host_id] = home(database).hosts
    recorder = HostRecorder(database)
    for i, power in enumerate([1_000, -500, 2_500, 1_001]):
        recorder.record([poll(host_id, MIDNIGHT + 5 * i, {"active_power": power})])
    recorder.record([poll(host_id, MIDNIGHT + 60, {"active_power": 7})])

    def rows(counting: Counting) -> dict[int, tuple[int, int]]:
        return open_rows(database, host_id, "active_power", counting)

    assert rows(Counting.INSTANT) == {MIDNIGHT: (1_000, RAW), MIDNIGHT + 60: (7, RAW)}
    assert rows(Counting.INSTANT_LOWEST) == {MIDNIGHT: (-500, RAW)}
    assert rows(Counting.INSTANT_HIGHEST) == {MIDNIGHT: (2_500, RAW)}
    with database.reading() as connection:
        assert not connection.execute(sa.select(superseded_readings)).first()


def test_what_could_not_be_read_or_has_no_value_is_missing_never_zero(database: Database) -> None:
    [host_id] = home(database).hosts
    recorder = HostRecorder(database)
    at_ms = MIDNIGHT * 1000
    dead = HostPoll(host_id, at_ms, {}, {IMPORTED: PollFailure.TIMEOUT}, 5_000)
    partial = HostPoll(
        host_id,
        at_ms + 60_000,
        {"active_power": None, IMPORTED: 5},
        {EXPORTED: PollFailure.EXCEPTION},
        40,
    )
    recorder.record([dead, partial])
    assert open_rows(database, host_id, "active_power", Counting.INSTANT) == {}
    assert list(open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE)) == [MIDNIGHT]
    assert open_rows(database, host_id, EXPORTED, Counting.CUMULATIVE) == {}


def test_health_says_when_how_fast_and_what_failed_how_often(database: Database) -> None:
    [host_id] = home(database).hosts
    recorder = HostRecorder(database)
    timeouts = dict.fromkeys([IMPORTED, "active_power"], PollFailure.TIMEOUT)
    polls = [
        HostPoll(host_id, 1_000_000, {IMPORTED: 1}, {}, 40),
        HostPoll(host_id, 1_060_000, {}, timeouts, 5_000),
        HostPoll(host_id, 1_120_000, {}, timeouts, 5_000),
        HostPoll(host_id, 1_180_000, {IMPORTED: 1}, {EXPORTED: PollFailure.EXCEPTION}, 56),
    ]
    recorder.record(polls[:3])
    with database.reading() as connection:
        down = health_of_host(connection, host_id=host_id)
    assert down is not None
    assert (down.failures_in_a_row, down.succeeded_at_ms) == (2, 1_000_000)
    assert down.failing == timeouts
    recorder.record(polls[3:])
    with database.reading() as connection:
        health = health_of_host(connection, host_id=host_id)
        failures = failures_of_host(connection, host_id=host_id)
    assert health is not None
    assert (health.failures_in_a_row, health.succeeded_at_ms) == (0, 1_180_000)
    assert (health.latency_ms, health.mean_latency_us) == (56, 41_000)
    assert health.failing == {EXPORTED: PollFailure.EXCEPTION}
    assert failures == {
        PollFailure.TIMEOUT: FailureCount(2, 1_120_000),
        PollFailure.EXCEPTION: FailureCount(1, 1_180_000),
    }


@pytest.mark.parametrize("again", ["one by one", "all together", "all twice in one batch"])
def test_polls_delivered_again_change_nothing(database: Database, again: str) -> None:
    [host_id] = home(database).hosts
    polls = minutes(host_id, 0, [1_000 + 10 * i for i in range(31)])
    recorder = HostRecorder(database)
    recorder.record(polls)
    before = everything(database)
    match again:
        case "one by one":
            outcomes = [recorder.record([some])[0] for some in polls]
        case "all together":
            outcomes = HostRecorder(database).record(polls)
        case _:
            outcomes = recorder.record([*polls, *polls])
    assert set(outcomes) == {PollOutcome.REPEATED}
    assert everything(database) == before


def test_hosts_that_are_gone_do_not_stop_the_others(database: Database) -> None:
    first, second = home(database, models=["sdm630", "sdm120"]).hosts
    with database.writing() as connection:
        remove_host(connection, host_id=first, by=None, now=MIDNIGHT)
    outcomes = HostRecorder(database).record(
        [poll(i, MIDNIGHT, {IMPORTED: 1}) for i in (first, 777, second)]
    )
    assert outcomes == [
        PollOutcome.UNKNOWN_HOST, PollOutcome.UNKNOWN_HOST, PollOutcome.RECORDED,
    ]  # fmt: skip


def test_what_is_no_longer_assigned_is_passed_over(database: Database) -> None:
    [host_id] = home(database, measurements=["active_power"]).hosts
    HostRecorder(database).record([poll(host_id, MIDNIGHT, {IMPORTED: 1, "active_power": 2})])
    assert open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE) == {}
    assert open_rows(database, host_id, "active_power", Counting.INSTANT) == {MIDNIGHT: (2, RAW)}


def test_an_odd_sample_is_kept_flagged_and_no_energy_of_it_counts(database: Database) -> None:
    [host_id] = home(database).hosts
    dials = [5_000_000 + 10 * i for i in range(61)]
    recorder = HostRecorder(database)
    recorder.record(minutes(host_id, 0, [*dials[:22], 0, *dials[23:]]))
    rows = open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE)
    assert rows[MIDNIGHT + 22 * 60] == (0, int(Quality.QUESTIONABLE))
    energy = open_rows(database, host_id, IMPORTED, Counting.INTERVAL)
    assert [amount for amount, _ in energy.values()] == [50] * 12


@pytest.mark.parametrize("per_batch", [1, 61])
def test_an_odd_sample_that_could_be_true_is_flagged_once_two_more_say_so(
    database: Database, per_batch: int
) -> None:
    [host_id] = home(database).hosts
    dials = [5_000_000 + 10 * i for i in range(61)]
    polls = minutes(host_id, 0, [*dials[:25], dials[24] + 900, *dials[26:]])
    recorder = HostRecorder(database)
    for begin in range(0, len(polls), per_batch):
        recorder.record(polls[begin : begin + per_batch])
    rows = open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE)
    questionable = {at: row for at, row in rows.items() if row[1] != RAW}
    assert questionable == {MIDNIGHT + 25 * 60: (dials[24] + 900, int(Quality.QUESTIONABLE))}
    energy = open_rows(database, host_id, IMPORTED, Counting.INTERVAL)
    assert [*energy.values()] == [(50, RAW)] * 12


def test_a_database_that_is_away_takes_nothing_and_takes_it_later(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sqlite_database
    [host_id] = home(database).hosts
    polls = minutes(host_id, 0, [10 * i for i in range(31)])
    recorder = HostRecorder(database)
    with monkeypatch.context() as patch:
        error = sa.exc.OperationalError("", None, OSError("disk full"))

        def fail(*_: object, **__: object) -> None:
            raise error

        patch.setattr("meterbook.intake.host_recorder.save_health", fail)
        with pytest.raises(CannotStoreError):
            recorder.record(polls)
    assert open_rows(database, host_id, IMPORTED, Counting.CUMULATIVE) == {}
    assert set(recorder.record(polls)) == {PollOutcome.RECORDED}


@pytest.mark.parametrize(
    ("zone", "day", "slots"),
    [
        ("Australia/Sydney", date(2011, 10, 2), 1380),
        ("Australia/Sydney", date(2012, 4, 1), 1500),
        ("Asia/Kathmandu", DAY, 1440),
    ],
)
def test_polled_channels_close_by_the_minute_and_stay_the_same(
    database: Database, zone: str, day: date, slots: int
) -> None:
    [host_id] = home(database, zone=zone).hosts
    begins_at = MIDNIGHT
    while_day = (day - DAY).days * 86_400 + begins_at - 15 * 3600
    recorder = HostRecorder(database)
    recorder.record(
        [
            poll(host_id, while_day + 60 * i, {IMPORTED: 10 * i, "active_power": i})
            for i in range(34 * 60)
        ]
    )
    before = {
        counting: open_rows(database, host_id, IMPORTED, counting)
        for counting in (Counting.CUMULATIVE, Counting.INTERVAL)
    }

    close = close_day(database, day=day, zone=ZoneInfo(zone), now=while_day + 10 * 86_400)

    assert close.channel_days == 3
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(ledger, channels.c.counting, channels.c.measurement).join(
                channels, channels.c.id == ledger.c.channel_id
            )
        ).all()
        left = connection.execute(sa.select(sa.func.count()).select_from(daybook)).scalar_one()
    lengths = {(row.measurement, row.counting): decode_intervals(row.intervals) for row in rows}
    assert len(lengths[IMPORTED, Counting.CUMULATIVE]) == slots
    assert len(lengths["active_power", Counting.INSTANT]) == slots
    assert lengths[IMPORTED, Counting.INTERVAL] == [50] * (slots // 5)
    assert {row.missing for row in rows} == {0}
    dials = lengths[IMPORTED, Counting.CUMULATIVE]
    assert [amount for amount, _ in before[Counting.CUMULATIVE].values() if amount in set(dials)]
    total = 2 * 34 * 60 + 34 * 12 - 1
    assert left == total - 2 * slots - slots // 5
    assert findings(database) == []


# --- the law, through both books ---------------------------------------------------------------

deeds = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 90)),
        st.tuples(st.just("glitch"), st.sampled_from([0, 2**32 - 1])),
        st.tuples(st.just("outage"), st.integers(1, 400)),
        st.tuples(st.just("again"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=8,
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(deeds, st.integers(0, 1_000), st.integers(1, 40))
def test_energy_in_both_books_is_the_true_advance_whatever_happens(
    database: Database, deeds: list[tuple[str, int]], power: int, per_batch: int
) -> None:
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "audit_entries":
                connection.execute(table.delete())
    [host_id] = home(database).hosts
    polls, closes, minute = played(host_id, deeds, power)
    recorder = HostRecorder(database)
    for begin in range(0, len(polls), per_batch):
        recorder.record(polls[begin : begin + per_batch])
        if any(begin <= close < begin + per_batch for close in closes):
            for offset in range(3):
                close_day(
                    database, day=DAY + timedelta(days=offset), zone=UTC, now=MIDNIGHT + 10**6
                )
    marks = (minute - 1) // 5 * 5
    assert energy_everywhere(database) == power * marks
    assert findings(database) == []


def played(
    host_id: int, deeds: list[tuple[str, int]], power: int
) -> tuple[list[HostPoll], list[int], int]:
    """Return the polls, after how many a day is closed, and how many minutes passed."""
    polls: list[HostPoll] = []
    closes: list[int] = []
    minute = 0
    for kind, amount in [("run", 12), *deeds, ("run", 12)]:
        if kind == "run":
            polls += minutes(
                host_id, minute, [1_000_000 + power * (minute + i) for i in range(amount)]
            )
            minute += amount
        elif kind == "glitch":
            polls += minutes(host_id, minute, [amount])
            minute += 1
        elif kind == "outage":
            minute += amount
        elif kind == "again":
            polls += polls[-3:]
        else:
            closes.append(len(polls))
    return polls, closes, minute


def energy_everywhere(database: Database) -> int:
    counted = sa.and_(
        channels.c.counting == int(Counting.INTERVAL), channels.c.measurement == IMPORTED
    )
    with database.reading() as connection:
        opened = connection.execute(
            sa.select(daybook.c.amount)
            .join(channels, channels.c.id == daybook.c.channel_id)
            .where(counted)
        ).scalars()
        closed = connection.execute(
            sa.select(ledger.c.energy)
            .join(channels, channels.c.id == ledger.c.channel_id)
            .where(counted)
        ).scalars()
        return int(sum(opened) + sum(closed))


def everything(database: Database) -> list[list[tuple[object, ...]]]:
    tables = ("daybook", "channel_states", "host_health", "host_failures", "superseded_readings")
    with database.reading() as connection:
        return [
            sorted(tuple(row) for row in connection.execute(sa.select(metadata.tables[name])))
            for name in tables
        ]
