"""Energy as series: every way of cutting the time adds up to the same, clock changes or not."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from books import record_packets
from meterbook.domain.influxql import QueryError, Question, understood
from meterbook.domain.local_days import day_bounds, interval_starts
from meterbook.intake.packet_fields import Packet
from meterbook.queries.energy_series import EnergySeries, energy_series, seen_meters
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database

WARSAW = ZoneInfo("Europe/Warsaw")
METER = 999_999_999
DAYS = {46: date(2026, 3, 29), 48: date(2026, 3, 30), 50: date(2025, 10, 26)}
NOW = 1_800_000_000
SUM = 'SELECT sum("kWh") FROM energy WHERE '
SUM_AND_MEAN = 'SELECT sum("kWh"), mean("kW") FROM energy WHERE '
MOST = 'SELECT max("kWh") FROM energy WHERE '


def asked(database: Database, query: str) -> list[EnergySeries]:
    question = understood(query, now=NOW)
    assert isinstance(question, Question)
    with database.reading() as connection:
        meters = seen_meters(connection, account_id=None, named=())
        return energy_series(connection, question=question, meters=meters, now=NOW)


def filled(database: Database, count: int) -> tuple[int, int]:
    """Let every half-hour of the day have its number in Wh; return the day's bounds."""
    with database.writing() as connection:
        add_meters(connection, [METER], zone="Europe/Warsaw", now=0)
    starts = interval_starts(DAYS[count], WARSAW)
    assert len(starts) == count
    record_packets(database, [Packet(METER, at + 1860, i) for i, at in enumerate(starts)])
    return day_bounds(DAYS[count], WARSAW)


@pytest.mark.parametrize("count", DAYS)
def test_every_way_of_cutting_a_day_adds_up_to_it(database: Database, count: int) -> None:
    begins, ends = filled(database, count)
    total = sum(range(count)) / 1000
    for every in ("30m", "1h", "7h", "1d", "1w"):
        [series] = asked(
            database,
            SUM + f"time >= {begins}s AND time < {ends}s "
            f"GROUP BY time({every}) fill(none) tz('Europe/Warsaw')",
        )
        assert round(sum(numbers[0] or 0 for _, numbers in series.rows), 9) == total, every
        if every == "1d":
            assert series.rows == [(begins, [total])]
        if every == "30m":
            assert len(series.rows) == count
    [whole] = asked(database, SUM_AND_MEAN + f"time >= {begins}s")
    assert whole.rows[0][1][0] == total
    assert round(whole.rows[0][1][1] or 0, 9) == round(total * 2 / count, 9)


def test_what_is_not_known_is_filled_as_was_asked(database: Database) -> None:
    begins, _ = filled(database, 48)

    def numbers(fill: str) -> list[float | None]:
        [series] = asked(
            database,
            MOST + f"time >= {begins + 46 * 1800}s "
            f"AND time < {begins + 50 * 1800}s GROUP BY time(30m) {fill}",
        )
        return [row[1][0] for row in series.rows]

    assert numbers("") == [0.046, 0.047, None, None]
    assert numbers("fill(none)") == [0.046, 0.047]
    assert numbers("fill(previous)") == [0.046, 0.047, 0.047, 0.047]
    assert numbers("fill(0)") == [0.046, 0.047, 0, 0]
    assert numbers("fill(none) ORDER BY time DESC LIMIT 1") == [0.047]


@pytest.mark.parametrize(
    "times",
    [
        "time > '0001-01-01T00:00:00Z' AND time < '0001-01-02T00:00:00Z'",
        f"time >= {NOW + 1}s",
    ],
)
def test_of_a_time_without_an_instant_in_it_there_is_nothing(
    database: Database, times: str
) -> None:
    filled(database, 48)
    assert asked(database, f"{SUM}{times} GROUP BY time(1d) fill(0) tz('Europe/Warsaw')") == []


def test_asking_for_too_much_is_refused_before_anything_is_read(database: Database) -> None:
    filled(database, 48)
    for query in (
        SUM + "time > 0s",
        SUM + f"time > {NOW - 86_400 * 9}s GROUP BY time(1s)",
    ):
        with pytest.raises(QueryError):
            asked(database, query)
