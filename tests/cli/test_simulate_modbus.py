"""`meterbook simulate modbus`: what it refuses, and a day replayed in seconds."""

import asyncio
from pathlib import Path

import pytest
from benchmarks.collector_speed import virtual_devices

from commands import run_command
from meterbook.domain.host_polls import HostPoll
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.host_polls import poll
from meterbook.intake.modbus.host_reader import HostReader
from virtual_devices import a_host

DIALS = ["active_energy_consumed", "active_energy_produced"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "sdm999"], "no model sdm999 in the catalogue; there are abb_b_series"),
        (["--fault", "laziness"], "laziness is no fault; there are silence"),
        (["--fault", "slow:2"], "a share is 0 to 1"),
        (["--profile", "day.csv"], "line 3: must be three numbers: seconds,load W,PV W"),
    ],
)
def test_what_cannot_be_is_one_clear_line(tmp_path: Path, options: list[str], reason: str) -> None:
    (tmp_path / "day.csv").write_text("seconds,load_w,pv_w\n0,500,0\nnoon,500,4000\n")
    failed = run_command("simulate", "modbus", "--port", "15999", *options, folder=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.startswith("meterbook: ")
    assert reason in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_devices_beyond_the_last_port_are_wrong_usage(tmp_path: Path) -> None:
    options = ("--port", "65535", "--hosts", "2")
    failed = run_command("simulate", "modbus", *options, folder=tmp_path)
    assert failed.returncode == 2
    assert failed.stderr == "meterbook: 2 ports from 65535 on end after 65535\n"


def test_a_profile_is_replayed_as_fast_as_one_likes(tmp_path: Path) -> None:
    day = tmp_path / "day.csv"
    day.write_text("seconds,load_w,pv_w\n0,1000,0\n43200,500,3500\n86400,0,0\n")

    async def last_dials(port: int) -> dict[str, int | None]:
        bus, seen = Bus(), []
        reader = HostReader(a_host(port, "em24", names=DIALS), bus)
        for _ in range(100):
            result: HostPoll = await poll(reader, patient=True)
            seen.append(result.amounts)
            if len(seen) > 3 and seen[-3:] == [seen[-1]] * 3 and seen[-1] != seen[0]:
                break
            await asyncio.sleep(0.2)
        bus.close()
        return {name: (seen[-1][name] or 0) - 1_000_000 for name in DIALS}

    options = ("--profile", str(day), "--speed", "43200")
    with virtual_devices(1, model="em24", options=options) as port:
        dials = asyncio.run(last_dials(port))
    assert dials == {"active_energy_consumed": 12_000, "active_energy_produced": 36_000}
