"""Virtual homes: seeded, and made of real readings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.simulate.homes import FleetTooLargeError, Habits, Home, fleet, home
from meterbook.simulate.real_homes import MISSING, IntColumn, real_homes

HALF_HOUR_S = 1800
WEEK_S = 7 * 86_400
YEAR_S = 52 * WEEK_S
THE_SAME = Habits(scale_min=1.0, scale_max=1.0, jitter=0.0)

half_hours = st.integers(0, 10_000_000).map(lambda number: number * HALF_HOUR_S)
meters = st.integers(1, 999_999_999)


def one(meter_id: int, seed: int = 1, habits: Habits | None = None) -> Home:
    return home(meter_id, seed=seed, real_homes=real_homes(), habits=habits)


def half_hours_of(starts_at: int, seconds: int) -> IntColumn:
    return np.arange(starts_at, starts_at + seconds, HALF_HOUR_S, dtype=np.int64)


def test_the_sample_is_the_published_year_of_2013() -> None:
    totals = {real.name: int(real.energy_wh[real.energy_wh >= 0].sum()) for real in real_homes()}
    missing = {real.name: int((real.energy_wh == MISSING).sum()) for real in real_homes()}

    assert totals == {"MAC000002": 4_214_648, "MAC000003": 7_010_249, "MAC000004": 618_246}
    assert missing == {"MAC000002": 0, "MAC000003": 2, "MAC000004": 1}


@given(meter_id=meters, seed=st.integers(), starts_at=half_hours)
def test_the_same_seed_meter_and_half_hour_give_the_same_energy(
    meter_id: int, seed: int, starts_at: int
) -> None:
    column = half_hours_of(starts_at, 4 * HALF_HOUR_S)

    first = one(meter_id, seed).readings(column)
    again = [one(meter_id, seed).reading(start) for start in column.tolist()]

    assert [None if wh == MISSING else wh for wh in first.tolist()] == again


def test_another_seed_or_another_meter_gives_another_home() -> None:
    column = half_hours_of(1_760_000_400, WEEK_S)
    energies = {tuple(one(m, s).readings(column).tolist()) for m in (1, 2, 3) for s in (1, 2, 3)}

    assert len(energies) == 9


@given(meter_id=meters, week=st.integers(0, 700))
def test_at_scale_one_without_jitter_a_week_is_a_real_week_to_the_wh(
    meter_id: int, week: int
) -> None:
    virtual = one(meter_id, habits=THE_SAME)
    begins_at = virtual.real.begins_at + week * WEEK_S
    real_weeks = virtual.real.energy_wh[: YEAR_S // HALF_HOUR_S].reshape(52, -1)

    energy = virtual.readings(half_hours_of(begins_at, WEEK_S))

    assert (real_weeks == energy).all(axis=1).any()


def test_at_scale_one_without_jitter_the_year_of_the_sample_keeps_its_sum() -> None:
    for meter_id in range(1, 20):
        virtual = one(meter_id, habits=THE_SAME)
        in_step = virtual.real.begins_at - virtual.weeks_apart * WEEK_S

        energy = virtual.readings(half_hours_of(in_step, YEAR_S))

        assert energy.sum() == virtual.real.energy_wh[: YEAR_S // HALF_HOUR_S].sum()


@given(starts_at=half_hours, meter_id=meters)
def test_a_reading_comes_from_the_same_time_of_week_and_the_same_season(
    starts_at: int, meter_id: int
) -> None:
    real = one(meter_id).real
    numbered = real.__class__(real.name, real.begins_at, np.arange(17_520, dtype=np.int64))

    [index] = numbered.energy_at(np.array([starts_at], dtype=np.int64))

    taken_at = real.begins_at + int(index) * HALF_HOUR_S
    assert (starts_at - taken_at) % WEEK_S == 0
    seasons_apart_s = (starts_at - taken_at) % 31_556_952
    assert min(seasons_apart_s, 31_556_952 - seasons_apart_s) <= 9 * 86_400


@given(meter_id=meters, starts_at=half_hours)
def test_jitter_stays_within_its_share(meter_id: int, starts_at: int) -> None:
    column = half_hours_of(starts_at, WEEK_S)
    plain = one(meter_id, habits=THE_SAME).readings(column)

    jittered = one(meter_id, habits=Habits(scale_min=1.0, scale_max=1.0, jitter=0.1)).readings(
        column
    )

    assert (np.abs(jittered - plain) <= 0.1 * np.maximum(plain, 0) + 1).all()


def test_about_the_share_asked_for_is_missing_and_the_rest_is_unchanged() -> None:
    column = half_hours_of(1_760_000_400, YEAR_S)
    whole = one(5).readings(column)

    holed = one(5, habits=Habits(missing_share=0.02)).readings(column)

    lost = (holed == MISSING) & (whole != MISSING)
    assert 0.01 < lost.mean() < 0.03
    assert (holed[~lost] == whole[~lost]).all()


def test_a_fleet_beyond_the_last_meter_id_is_refused() -> None:
    assert len(list(fleet(2, first_id=999_999_998, seed=1, real_homes=real_homes()))) == 2
    with pytest.raises(FleetTooLargeError):
        fleet(3, first_id=999_999_998, seed=1, real_homes=real_homes())
