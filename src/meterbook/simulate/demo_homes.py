"""
Who lives in the demo: 50 homes in five regions, and the flaws real fleets have.

One meter has fallen silent, one belongs to nobody, one said two things about the same half hour,
and all lose a half hour now and then.
"""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from meterbook.domain.local_days import local_day, time_zone
from meterbook.simulate.homes import Habits, Home, fleet
from meterbook.simulate.packets import sent_starts, sent_until
from meterbook.simulate.real_homes import MISSING, IntColumn, real_homes

ZONE = time_zone("Europe/London")
DEMO_REGIONS = Path(__file__).with_name("demo_regions.geojson")  # invented shapes, no real borders
METERS = 50
FIRST_ID = 999_999_950
HOUSEHOLD_METERS = (999_999_999, 999_999_998)  # the first is the one of the seed's examples
SILENT_METER = 999_999_957
UNCLAIMED_METER = 999_999_963
CONFLICT_METER = 999_999_971
_SEED = 2013
_HABITS = Habits(missing_share=0.004)
_SILENT_FOR_S = 5 * 86_400  # when the demo was made
_UNCLAIMED_FOR_S = 9 * 86_400


class Readings(msgspec.Struct, frozen=True):
    """Readings of many homes as columns of equal length."""

    meter_id: IntColumn
    starts_at: IntColumn
    energy_wh: IntColumn


def demo_homes() -> list[Home]:
    """Return every home of the demo, by meter ID."""
    homes = fleet(METERS, first_id=FIRST_ID, seed=_SEED, real_homes=real_homes(), habits=_HABITS)
    return list(homes)


def sending_homes() -> list[Home]:
    """Return the homes whose meters still send."""
    return [home for home in demo_homes() if home.meter_id != SILENT_METER]


def demo_readings(*, created_at: int, begins_at: int, ends_at: int) -> Readings:
    """
    Return what the demo's meters sent of the half-hours from begins_at on, until ends_at.

    :param created_at: when the demo was made; says since when meters are silent or known at all.
    """
    starts = _starts_between(begins_at, ends_at, ZONE)
    conflict = conflicting_reading(created_at=created_at)
    columns = []
    for home in demo_homes():
        sent = sent_until(home, starts, instant=ends_at)
        if home.meter_id == SILENT_METER:
            sent = sent_until(home, sent, instant=created_at - _SILENT_FOR_S)
        if home.meter_id == UNCLAIMED_METER:
            sent = sent[sent >= created_at - _UNCLAIMED_FOR_S]
        if home.meter_id == CONFLICT_METER:
            sent = sent[sent != conflict[0]]
        energy = home.readings(sent)
        known = energy != MISSING
        meter = np.full(int(known.sum()), home.meter_id, dtype=np.int64)
        columns.append((meter, sent[known], energy[known]))
    return Readings(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def conflicting_reading(*, created_at: int) -> tuple[int, int, int]:
    """Return the start of the half hour, what the meter said of it first, and what then, in Wh."""
    [home] = [home for home in demo_homes() if home.meter_id == CONFLICT_METER]
    starts = _starts_between(created_at - 2 * 86_400, created_at - 86_400, ZONE)
    energy = home.readings(starts)
    index = int(np.argmax(energy))
    right = int(energy[index])
    return int(starts[index]), right * 10, right


def _starts_between(begins_at: int, ends_at: int, zone: ZoneInfo) -> IntColumn:
    end_day = local_day(ends_at, zone) + timedelta(days=1)
    starts = sent_starts(local_day(begins_at, zone), end_day, zone=zone)
    return starts[(starts >= begins_at) & (starts < ends_at)]
