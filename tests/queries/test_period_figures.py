"""Base load, peak, average day, the time before, and days by the time of day."""

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterbook.domain.local_days import day_bounds, midnight
from meterbook.domain.period_steps import period_before
from meterbook.domain.periods import Period, free_period
from meterbook.domain.readings import HALF_HOUR_S, Quality
from meterbook.queries.channel_days import DayReadings
from meterbook.queries.period_figures import PeriodFigures, counted_days, period_figures
from meterbook.queries.time_of_day import days_by_time
from zones import ZONES
from zones import days as some_days

LONDON = ZoneInfo("Europe/London")
LATER = 4_000_000_000


def day_of(
    day: date, amounts: Sequence[int | None], zone: ZoneInfo = LONDON, interval_s: int = HALF_HOUR_S
) -> DayReadings:
    return DayReadings(day, midnight(day, zone), interval_s, list(amounts), Quality.RAW, None)


def figures_of(
    days: list[DayReadings], earlier: list[DayReadings] | None = None, *, now: int = LATER
) -> PeriodFigures:
    period = free_period(days[0].day, days[-1].day + timedelta(days=1), zone=LONDON)
    return period_figures(
        counted_days(days, period=period, now=now),
        earlier or [],
        meter_id=1,
        period=period,
        earlier=period_before(period, zone=LONDON),
        zone=LONDON,
    )


def test_the_base_load_is_the_median_of_the_days_lowest_half_hours_in_watts() -> None:
    first = date(2025, 6, 1)
    lowest = [100, 50, 75]
    days = [
        day_of(first + timedelta(days=number), [500] * 20 + [low] + [800] * 27)
        for number, low in enumerate(lowest)
    ]
    # A day of which more than a quarter is missing says nothing about what is always on.
    days.append(day_of(first + timedelta(days=3), [0, *[None] * 13, *[9] * 34]))
    assert figures_of(days).base_load_w == 150


def test_the_peak_is_the_first_of_the_highest_half_hours_with_its_time_and_power() -> None:
    amounts: list[int | None] = [100] * 48
    amounts[20] = amounts[30] = 1500
    peak = figures_of([day_of(date(2025, 6, 1), amounts)]).peak
    assert peak is not None
    assert (peak.starts_at, peak.ends_at) == (
        "2025-06-01T10:00:00+01:00",
        "2025-06-01T10:30:00+01:00",
    )
    assert (peak.energy_kwh, peak.average_kw) == (1.5, 3.0)


def test_an_average_day_is_of_days_that_are_whole_or_lack_an_hour_at_most() -> None:
    first = date(2025, 6, 1)
    days = [
        day_of(first, [100] * 48),
        day_of(first + timedelta(days=1), [100] * 46 + [None] * 2),
        day_of(first + timedelta(days=2), [100] * 45 + [None] * 3),
    ]
    figures = figures_of(days)
    assert (figures.whole_days, figures.average_day_kwh) == (2, 4.7)
    assert (figures.known_intervals, figures.missing_intervals) == (139, 5)


def test_nothing_known_is_null_never_zero() -> None:
    figures = figures_of([day_of(date(2025, 6, 1), [None] * 48)])
    unknown = (figures.average_day_kwh, figures.base_load_w, figures.peak, figures.before)
    assert unknown == (None, None, None, None)
    assert figures.missing_intervals == 48


def test_today_is_compared_with_yesterday_up_to_the_last_reading() -> None:
    today, yesterday = date(2025, 6, 2), date(2025, 6, 1)
    now = midnight(today, LONDON) + 10 * HALF_HOUR_S + 60
    days = [day_of(today, [150] * 8 + [None] * 40)]  # two half hours have not arrived yet
    before = figures_of(days, [day_of(yesterday, [100] * 48)], now=now).before
    assert before is not None
    assert (before.total_kwh, before.change) == (0.8, 0.5)
    assert before.ends_at == "2025-06-01T04:00:00+01:00"


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param([0] * 48, id="nothing was used"),
        pytest.param([100] * 40 + [None] * 8, id="a sixth is missing"),
        pytest.param([None] * 48, id="nothing is known"),
    ],
)
def test_a_time_that_is_not_known_well_is_not_compared_with(earlier: list[int | None]) -> None:
    figures = figures_of(
        [day_of(date(2025, 6, 2), [100] * 48)], [day_of(date(2025, 6, 1), earlier)]
    )
    assert figures.before is not None
    assert figures.before.change is None


@settings(deadline=None)
@given(some_days, st.integers(1, 5), st.sampled_from(ZONES), st.data())
def test_days_by_the_time_of_day_have_a_cell_for_every_interval(
    first: date, count: int, name: str, data: st.DataObject
) -> None:
    zone = ZoneInfo(name)
    days = []
    for offset in range(count):
        day = first + timedelta(days=offset)
        begins_at, ends_at = day_bounds(day, zone)
        if length := (ends_at - begins_at) // HALF_HOUR_S:
            amounts = data.draw(
                st.lists(st.none() | st.integers(0, 999), min_size=length, max_size=length)
            )
            days.append(day_of(day, amounts, zone))
    period = Period(
        "range",
        midnight(first, zone),
        LATER,
        free_period(first, first + timedelta(days=1), zone=zone).resolution,
    )
    counted = counted_days(days, period=period, now=LATER)
    found = days_by_time(counted, zone=zone)
    assert found is not None
    assert len(found.columns) == len(set(found.columns))
    for whole, energy_wh, missing in zip(days, found.energy_wh, found.missing, strict=True):
        known = [amount for amount in whole.amounts if amount is not None]
        assert sorted(amount for amount in energy_wh if amount is not None) == sorted(known)
        assert len(missing) == whole.amounts.count(None)
        assert all(energy_wh[column] is None for column in missing)


@pytest.mark.parametrize(
    ("day", "half_hours", "empty", "repeated"),
    [(date(2025, 3, 30), 46, [60, 90], []), (date(2025, 10, 26), 50, [], [60, 90])],
    ids=["spring", "autumn"],
)
def test_a_day_on_which_the_clock_changes_has_its_own_cells(
    day: date, half_hours: int, empty: list[int], repeated: list[int]
) -> None:
    days = [day_of(day, [5] * half_hours), day_of(day + timedelta(days=1), [7] * 48)]
    period = free_period(day, day + timedelta(days=2), zone=LONDON)
    found = days_by_time(counted_days(days, period=period, now=LATER), zone=LONDON)
    assert found is not None
    assert [column.minute for column in found.columns if column.is_repeated] == repeated
    changed, plain = found.energy_wh
    unfilled = [
        column.minute
        for column, amount in zip(found.columns, changed, strict=True)
        if amount is None
    ]
    assert unfilled == empty
    assert plain == [7] * 48 + [None] * len(repeated)
    assert found.missing == [[], []]


def test_days_of_which_only_the_total_is_known_have_no_times() -> None:
    day = day_of(date(2025, 6, 1), [4000], interval_s=86_400)
    period = free_period(day.day, date(2025, 6, 2), zone=LONDON)
    counted = counted_days([day], period=period, now=LATER)
    assert days_by_time(counted, zone=LONDON) is None
