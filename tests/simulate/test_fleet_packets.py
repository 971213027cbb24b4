"""What a fleet sends, and when."""

from collections import Counter
from datetime import date, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from meterbook.domain.local_days import day_bounds
from meterbook.domain.readings import packet_starts_at
from meterbook.simulate.homes import SPREAD_S, Home, fleet
from meterbook.simulate.packets import live_packets, past_packets, sent_until
from meterbook.simulate.real_homes import real_homes

LONDON = ZoneInfo("Europe/London")


def homes(count: int = 5) -> list[Home]:
    return list(fleet(count, first_id=1, seed=3, real_homes=real_homes()[:1]))


@pytest.mark.parametrize(
    ("day", "zone", "packets"),
    [
        pytest.param(date(2025, 2, 8), "Asia/Singapore", 47, id="ordinary day"),
        pytest.param(date(2025, 3, 30), "Europe/London", 45, id="spring"),
        pytest.param(date(2025, 10, 26), "Europe/London", 49, id="autumn"),
        pytest.param(date(2025, 10, 5), "Australia/Lord_Howe", 46, id="half an hour of spring"),
        pytest.param(date(2025, 2, 8), "Asia/Kathmandu", 47, id="quarter-hour zone"),
    ],
)
def test_a_meter_sends_every_half_hour_of_its_day_but_the_last(
    day: date, zone: str, packets: int
) -> None:
    place = ZoneInfo(zone)
    sent = list(past_packets(homes(), first_day=day, end_day=day + timedelta(days=1), zone=place))

    begins_at, ends_at = day_bounds(day, place)
    offset = begins_at % 1800
    covered = {packet_starts_at(int(packet.due_at), grid_offset_s=offset) for packet in sent}
    assert Counter(packet.meter_id for packet in sent) == dict.fromkeys(range(1, 6), packets)
    assert covered == set(range(begins_at, ends_at - 1800, 1800))


def test_packets_are_stamped_in_the_minute_after_their_half_hour() -> None:
    sent = past_packets(
        homes(50), first_day=date(2025, 2, 8), end_day=date(2025, 2, 9), zone=LONDON
    )

    seconds = {packet.due_at % 1800 - 60 for packet in sent}

    assert seconds <= set(range(SPREAD_S))
    assert len(seconds) > 10


def test_sent_live_is_what_is_replayed_later_in_order_of_time() -> None:
    begins_at, ends_at = day_bounds(date(2025, 3, 30), LONDON)

    live = list(
        takewhile(
            lambda packet: packet.due_at <= ends_at + 3600,
            live_packets(homes(), since=begins_at + 60, zone=LONDON),
        )
    )

    past = past_packets(homes(), first_day=date(2025, 3, 30), end_day=date(2025, 4, 1), zone=LONDON)
    assert [packet.due_at for packet in live] == sorted(packet.due_at for packet in live)
    assert set(map(tuple_of, live)) == {
        tuple_of(packet) for packet in past if packet.due_at <= ends_at + 3600
    }


@pytest.mark.parametrize("since", [1_763_690_400, 1_763_690_459, 1_763_690_475, 1_763_692_000])
def test_live_goes_on_exactly_where_sent_until_ends(since: int) -> None:
    latest = since - since % 1800
    starts = np.array([latest - 3600, latest - 1800, latest], dtype=np.int64)
    for home in homes():
        done = sent_until(home, starts, instant=since).tolist()

        first = next(live_packets([home], since=since, zone=ZoneInfo("UTC")))

        assert packet_starts_at(int(first.due_at)) == done[-1] + 1800


def test_a_body_is_the_contracts_packet() -> None:
    packet = next(live_packets(homes(1), since=1_763_690_400, zone=LONDON))

    fields = msgspec.json.decode(packet.body)

    assert set(fields) == {"id", "timestamp", "reading_kWh"}
    assert fields["reading_kWh"] * 1000 == pytest.approx(packet.energy_wh)


def tuple_of(packet: object) -> tuple[object, ...]:
    return msgspec.structs.astuple(packet)  # type: ignore[arg-type]
