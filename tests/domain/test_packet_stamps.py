"""The stamps of the seed's JSON files."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.local_days import interval_starts, time_zone
from meterbook.domain.packet_stamps import UnknownStampError, day_stamps, slots_of_stamps
from zones import ZONES, days


def test_an_ordinary_day_runs_from_00_31_to_00_01() -> None:
    stamps = day_stamps(date(2025, 2, 8), ZoneInfo("UTC"))
    assert (stamps[0], stamps[46], stamps[47], len(stamps)) == ("00:31", "23:31", "00:01", 48)


def test_the_hour_that_comes_twice_in_autumn_has_stamps_of_its_own() -> None:
    stamps = day_stamps(date(2025, 10, 26), ZoneInfo("Europe/London"))
    assert stamps[:7] == ["00:31", "01:01", "01:31", "01:01+00:00", "01:31+00:00", "02:01", "02:31"]


@given(st.sampled_from(ZONES), days)
def test_every_half_hour_of_every_day_has_one_stamp_that_leads_back_to_it(
    zone: str, day: date
) -> None:
    where = time_zone(zone)
    stamps = day_stamps(day, where)
    count = len(interval_starts(day, where))
    assert len(set(stamps)) == len(stamps) == count
    assert slots_of_stamps(stamps, day=day, zone=where) == list(range(count))


def test_a_stamp_that_the_day_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownStampError, match="no packet stamped '01:31'"):
        slots_of_stamps(["01:31"], day=date(2025, 3, 30), zone=ZoneInfo("Europe/London"))
