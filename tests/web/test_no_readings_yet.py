"""What pages say before there is much: of a host that is new or silent, of a meter's first day."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from books import record_packets
from callers import signed_in
from meterbook.domain.host_polls import PollFailure
from meterbook.domain.local_days import local_day, midnight
from meterbook.intake.packet_fields import Packet
from meterbook.queries.meter_overview import meter_overview
from meterbook.queries.meter_places import meter_place
from meterbook.queries.own_meters import own_meters
from meterbook.queries.site_list import ListedHost
from meterbook.storage.database import Database
from meterbook.storage.tables import meter_points
from meterbook.web.hosts import health_of
from meterbook.web.sites import why_nothing

UTC = ZoneInfo("UTC")
NOW = 1_790_000_000
METER = 999_999_963


def a_host(*, read_ago_s: int | None = None, failures: int = 0) -> ListedHost:
    failure = PollFailure.UNREACHABLE if failures else None
    read_at = None if read_ago_s is None else NOW - read_ago_s
    return ListedHost(1, "roof", "sdm630", read_at, failures, NOW - 7_200, failure)


@pytest.mark.parametrize(
    ("host", "words", "detail"),
    [
        (a_host(), "not read yet", ""),
        (a_host(failures=3), "never answered", "No connection, since"),
        (a_host(read_ago_s=900, failures=15), "silent", "No connection, since"),
        (a_host(read_ago_s=30), "answers", ""),
    ],
)
def test_how_reading_goes_is_said_with_its_reason(
    host: ListedHost, words: str, detail: str
) -> None:
    health = health_of(host, now=NOW, zone=UTC)
    assert health.words == words
    assert health.detail.startswith(detail)
    assert bool(health.detail) == bool(detail)


def test_a_site_says_why_there_is_no_power_yet() -> None:
    assert "first five minutes" in why_nothing([a_host(), a_host(read_ago_s=30)], now=NOW)
    assert "No device answers" in why_nothing([a_host(failures=3)], now=NOW)
    assert "Nothing has been read" in why_nothing([a_host(read_ago_s=9_000)], now=NOW)


def test_a_meters_first_day_counts_in_the_list_as_on_its_page(
    sqlite_database: Database,
) -> None:
    database = sqlite_database
    begins = midnight(local_day(NOW, UTC), UTC)
    record_packets(database, [Packet(METER, begins + 1_800, 0), Packet(METER, begins + 5_400, 4)])
    owner, _ = signed_in(database, "anna")
    with database.writing() as connection:
        connection.execute(sa.update(meter_points).values(account_id=owner.id))
    now = begins + int(timedelta(hours=12).total_seconds())
    with database.reading() as connection:
        place = meter_place(connection, meter_id=METER)
        assert place is not None
        [listed] = own_meters(connection, account_id=owner.id, now=now)
        page = meter_overview(connection, place=place, now=now)
    assert set(listed.daily_kwh) == {None}
    assert listed.today_kwh == page.meter.totals[0].total_kwh
    assert listed.today_kwh
