"""A real day and a real year of London home MAC000002 through the books and files."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from books import record_packets
from imports import NOW, imported
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts
from meterbook.domain.periods import Resolution, free_period
from meterbook.exports.master_json import write_master_database
from meterbook.intake.files.lcl import LclLimits, lcl_parts
from meterbook.intake.files.sources import FileSource
from meterbook.intake.packet_fields import Packet
from meterbook.queries.consumption import Consumption, consumption
from meterbook.queries.meter_places import meter_place
from meterbook.storage.database import Database

UTC = ZoneInfo("UTC")
DAY = date(2013, 6, 12)


@pytest.fixture
def home_2(shared_data: Path) -> Path:
    """Give the raw file of home MAC000002."""
    return shared_data / "lcl_raw_mac000002" / "MAC000002.csv"


def asked(database: Database, first: date, end: date, resolution: Resolution) -> Consumption:
    with database.reading() as connection:
        place = meter_place(connection, meter_id=2)
        assert place is not None
        return consumption(
            connection,
            place=place,
            period=free_period(first, end, zone=UTC),
            resolution=resolution,
            now=NOW,
        )


def test_47_packets_of_a_real_day_are_its_total_and_its_47_stamps(
    database: Database, home_2: Path, tmp_path: Path
) -> None:
    [part] = lcl_parts(FileSource(home_2), limits=LclLimits(now=NOW))
    amounts = dict(
        zip(part.readings.starts_at.tolist(), part.readings.amount.tolist(), strict=True)
    )
    starts = interval_starts(DAY, UTC)[:47]
    record_packets(database, [Packet(2, start + 1860, amounts[start]) for start in starts])
    close_day(database, day=DAY, zone=UTC, now=NOW)

    found = asked(database, DAY, DAY + timedelta(days=1), Resolution.HALF_HOUR)

    total = sum(amounts[start] for start in starts)
    assert (found.total_kwh, found.missing_intervals) == (total / 1000, 1)
    path = tmp_path / "master.json"
    with database.reading() as connection, path.open("wb") as out:
        write_master_database(connection, out)
    entry = msgspec.json.decode(path.read_bytes())["2"]
    assert entry["2013-06-12"] == total / 1000
    stamps = [f"{i // 60:02d}:{i % 60:02d}" for i in range(31, 24 * 60, 30)]
    assert list(entry["previous_day"]) == stamps
    assert len(stamps) == 47


def test_the_year_2013_adds_up_the_same_by_day_month_and_year(
    database: Database, home_2: Path
) -> None:
    lines = imported("lcl", database, home_2)

    first, end = date(2013, 1, 1), date(2014, 1, 1)
    for resolution, count in _resolutions():
        found = asked(database, first, end, resolution)
        assert len(found.points) == count
        assert found.total_kwh == 4214.648
        assert round(sum(point.energy_kwh or 0 for point in found.points), 3) == 4214.648
        assert found.missing_intervals == 0
    assert "17 repeated" in lines[0]
    assert "1 Null (first in line 3242)" in lines[0]


def _resolutions() -> Iterator[tuple[Resolution, int]]:
    yield from [
        (Resolution.HALF_HOUR, 17_520),
        (Resolution.DAY, 365),
        (Resolution.MONTH, 12),
        (Resolution.YEAR, 1),
    ]
