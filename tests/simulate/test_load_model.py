"""The load model: what arrives when, and that it can be replayed against a real server."""

from collections import Counter
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from commands import run_command
from meterbook.domain.readings import packet_starts_at
from meterbook.simulate.load_model import LoadModel, load_packets
from meterbook.simulate.packets import SENT_AFTER_S, DuePacket
from meterbook.simulate.real_homes import real_homes
from servers import running_server

UTC = ZoneInfo("UTC")
MIDNIGHT = 1_739_145_600
DAY_S = 86_400
METERS = 100
CALM = LoadModel(delay_s=0, late_share=0, again_share=0, skewed_share=0)


@cache
def a_day(model: LoadModel, *, speed: float = 1.0, seed: int = 1) -> list[DuePacket]:
    packets = load_packets(
        range(1, METERS + 1), model, real_homes=real_homes(), seed=seed, begins_at=MIDNIGHT,
        ends_at=MIDNIGHT + DAY_S, zone=UTC, plays_at=0, speed=speed,
    )  # fmt: skip
    return list(packets)


def share(count: int, of: list[DuePacket]) -> float:
    return count / len(of)


def test_a_day_comes_in_order_once_and_on_time_where_nothing_goes_wrong() -> None:
    sent = a_day(CALM)
    assert [packet.due_at for packet in sent] == sorted(packet.due_at for packet in sent)
    keys = Counter((packet.meter_id, packet.stamp) for packet in sent)
    assert set(keys.values()) == {1}
    assert len(keys) > METERS * 46  # real homes miss a half hour now and then
    assert {packet.due_at + MIDNIGHT - (packet.stamp or 0) for packet in sent} == {0.0}


def test_late_repeated_and_skewed_packets_are_as_many_as_the_model_says() -> None:
    model = LoadModel(late_share=0.05, again_share=0.1, skewed_share=0.2)
    sent = a_day(model)
    repeated = Counter((packet.meter_id, packet.stamp) for packet in sent)
    again = sum(count - 1 for count in repeated.values())
    assert share(again, sent) == pytest.approx(0.1 / 1.1, rel=0.1)
    late = [p for p in sent if p.due_at + MIDNIGHT - (p.stamp or 0) > 1500]
    assert share(len(late), sent) == pytest.approx(0.05, rel=0.25)
    usual = {(packet.meter_id, packet.stamp) for packet in a_day(CALM)}
    wrong = {p.meter_id for p in sent if (p.meter_id, p.stamp) not in usual}
    assert len(wrong) / METERS == pytest.approx(0.2, rel=0.4)


def test_whatever_a_clock_shows_the_stamp_names_the_right_half_hour() -> None:
    for packet in a_day(LoadModel(skewed_share=1, late_share=0, delay_s=0)):
        start = packet_starts_at(packet.stamp or 0, grid_offset_s=0)
        true_start = int(packet.due_at + MIDNIGHT - SENT_AFTER_S) // 1800 * 1800
        assert start in {true_start, true_start - 1800}  # the latter: sent a second time
        assert abs(packet.due_at + MIDNIGHT - (packet.stamp or 0)) < 300 + 60


def test_the_same_seed_sends_the_same_and_speed_only_hurries() -> None:
    slow, fast = a_day(LoadModel()), a_day(LoadModel(), speed=60)
    assert [(p.meter_id, p.stamp, p.energy_wh) for p in slow] == [
        (p.meter_id, p.stamp, p.energy_wh) for p in fast
    ]
    assert fast[-1].due_at == pytest.approx(slow[-1].due_at / 60)
    assert a_day(LoadModel(), seed=2) != slow


def test_a_day_of_the_model_is_replayed_to_a_server_in_seconds(tmp_path: Path) -> None:
    with running_server(tmp_path / "book") as server:
        done = run_command(
            "simulate", "meters", "--rate", "load", "--count", "4", "--speed", "40000",
            "--url", server.url, folder=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = dict(line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    assert int(figures["acknowledged"].strip()) >= 4 * 45
    assert not any(name.startswith("refused") for name in figures)
