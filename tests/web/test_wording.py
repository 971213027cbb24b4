"""How pages say times."""

import pytest

from meterbook.domain import readings
from meterbook.domain.periods import PERIOD_NAMES, Resolution
from meterbook.web.wording import (
    BEFORE_WORDS,
    PERIOD_WORDS,
    QUALITY_WORDS,
    RESOLUTION_WORDS,
    point_words,
    range_words,
)


def test_every_period_has_its_words() -> None:
    assert set(PERIOD_NAMES) < set(PERIOD_WORDS)
    assert set(BEFORE_WORDS) == {*PERIOD_NAMES, "range"}
    assert set(RESOLUTION_WORDS) == set(Resolution)
    assert set(QUALITY_WORDS) == set(readings.QUALITY_WORDS.values())


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "said"),
    [
        pytest.param(
            "2025-03-30T00:00:00+00:00",
            "2025-03-31T00:00:00+01:00",
            "Sun, 30 Mar 2025",
            id="day of 23 h",
        ),
        pytest.param(
            "2025-10-01T00:00:00+01:00",
            "2025-11-01T00:00:00+00:00",
            "October 2025",
            id="month over a clock change",
        ),
        pytest.param(
            "2025-02-07T23:00:00+00:00",
            "2025-02-08T00:00:00+00:00",
            "7 Feb 2025, 23:00 to 00:00",
            id="hour before midnight",
        ),
    ],
)
def test_a_range_is_said_by_its_first_and_last_day(starts_at: str, ends_at: str, said: str) -> None:
    assert range_words(starts_at, ends_at) == said


def test_the_hour_the_clock_repeats_is_told_apart_by_its_offset() -> None:
    starts = [
        "2025-10-26T00:30:00+01:00",
        "2025-10-26T01:00:00+01:00",
        "2025-10-26T01:30:00+01:00",
        "2025-10-26T01:00:00+00:00",
        "2025-10-26T01:30:00+00:00",
        "2025-10-26T02:00:00+00:00",
    ]

    assert point_words(starts, resolution=Resolution.HALF_HOUR) == [
        "Sun 26 Oct, 00:30",
        "Sun 26 Oct, 01:00",
        "Sun 26 Oct, 01:30",
        "Sun 26 Oct, 01:00 (+00:00)",
        "Sun 26 Oct, 01:30 (+00:00)",
        "Sun 26 Oct, 02:00",
    ]


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        (Resolution.DAY, "Mon 1 Dec"),
        (Resolution.WEEK, "week of 1 Dec"),
        (Resolution.MONTH, "December 2025"),
        (Resolution.YEAR, "2025"),
    ],
)
def test_a_longer_point_is_said_by_what_it_covers(resolution: Resolution, said: str) -> None:
    assert point_words(["2025-12-01T00:00:00+00:00"], resolution=resolution) == [said]


def test_points_of_several_years_say_their_year() -> None:
    starts = ["2025-12-31T00:00:00+00:00", "2026-01-01T00:00:00+00:00"]

    assert point_words(starts, resolution=Resolution.DAY) == ["Wed, 31 Dec 2025", "Thu, 1 Jan 2026"]


def test_no_point_no_words() -> None:
    assert point_words([], resolution=Resolution.DAY) == []
