"""The dashboard's periods, and the full days each is compared with."""

from datetime import date

import pytest

from meterbook.domain.dashboard_periods import (
    DASHBOARD_PERIODS,
    dashboard_period,
    dashboard_range,
)
from meterbook.domain.periods import EmptyRangeError, UnknownPeriodError

TODAY = date(2025, 3, 12)  # a Wednesday

PERIODS = [
    ("last-30-days", "2025-02-11", "2025-03-13", "2025-01-12", 29),
    ("prev-day", "2025-03-11", "2025-03-12", "2025-03-10", 1),
    ("current-week", "2025-03-10", "2025-03-17", "2025-03-03", 2),
    ("prev-week", "2025-03-03", "2025-03-10", "2025-02-24", 7),
    ("current-month", "2025-03-01", "2025-04-01", "2025-02-01", 11),
    ("prev-month", "2025-02-01", "2025-03-01", "2025-01-01", 28),
    ("current-year", "2025-01-01", "2026-01-01", "2024-01-01", 70),
]


@pytest.mark.parametrize(("name", "first", "end", "before", "compared"), PERIODS)
def test_a_period_is_compared_with_as_many_full_days_of_the_one_before(
    name: str, first: str, end: str, before: str, compared: int
) -> None:
    period = dashboard_period(name, today=TODAY)
    assert [period.first_day, period.end_day, period.before] == [
        date.fromisoformat(day) for day in (first, end, before)
    ]
    assert period.compared_days(TODAY) == compared


def test_every_period_is_in_the_table() -> None:
    assert {row[0] for row in PERIODS} == set(DASHBOARD_PERIODS)


def test_a_march_of_31_days_is_compared_with_28_of_february() -> None:
    march = dashboard_period("prev-month", today=date(2025, 4, 2))
    assert march.compared_days(date(2025, 4, 2)) == 28


def test_a_range_is_compared_with_the_days_right_before_it() -> None:
    period = dashboard_range(date(2025, 3, 1), date(2025, 3, 5))
    assert period.before == date(2025, 2, 25)
    assert period.compared_days(TODAY) == 4
    assert period.compared_days(date(2025, 2, 1)) == 0


@pytest.mark.parametrize("days", [(1, 1), (5, 1)])
def test_a_range_without_days_is_refused(days: tuple[int, int]) -> None:
    with pytest.raises(EmptyRangeError):
        dashboard_range(date(2025, 3, days[0]), date(2025, 3, days[1]))


def test_a_range_is_at_most_400_days_and_not_before_time_began() -> None:
    assert dashboard_range(date(2024, 1, 1), date(2025, 2, 4)).first_day == date(2024, 1, 1)
    for first, end in ((date(2024, 1, 1), date(2025, 2, 5)), (date.min, date(1, 1, 9))):
        with pytest.raises(EmptyRangeError):
            dashboard_range(first, end)


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(UnknownPeriodError):
        dashboard_period("prev-hr", today=TODAY)
