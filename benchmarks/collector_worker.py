"""The process that `collector_speed` measures: it polls, and prints what it cost as JSON."""

import asyncio
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from meterbook.domain.host_polls import HostPoll
from meterbook.domain.modbus_numbers import BusLimits
from meterbook.intake.modbus.bus import Bus
from meterbook.intake.modbus.collector import Collector
from meterbook.intake.modbus.host_polls import poll
from meterbook.intake.modbus.host_reader import HostReader
from meterbook.intake.modbus.open_files import allow_many_open_files
from meterbook.registry.poll_plans import PolledHost, PollPlan
from virtual_devices import a_host

LIMITS = BusLimits(timeout_ms=5000)
WARM_UP_S = 1
PERIOD_S = 5  # the shortest there is: twelve times the load of a minute
WHOLE_PERIODS = 2


async def main(first_port: int, buses: int, seconds: float, model: str) -> dict[str, float]:
    """Measure blocks at full speed, then what a minute of polling costs."""
    allow_many_open_files()
    hosts = [
        a_host(first_port + number, model, host_id=number + 1, limits=LIMITS)
        for number in range(buses)
    ]
    memory_kib, kept_percent = await _on_their_grid(hosts)
    blocks, polls, cpu_s = await _at_full_speed(hosts, seconds)
    return {
        "blocks": blocks,
        "hosts": 60 * polls / cpu_s,
        "poll_ms": 1000 * cpu_s / polls,
        "host_kib": memory_kib,
        "kept": kept_percent,
    }


async def _at_full_speed(hosts: list[PolledHost], seconds: float) -> tuple[float, int, float]:
    readers = [HostReader(host, Bus()) for host in hosts]
    ends_at = time.monotonic() + WARM_UP_S
    counted = [0, 0]

    async def drive(reader: HostReader) -> None:
        while time.monotonic() < ends_at:
            result = await poll(reader, patient=True)
            assert not result.failures, result.failures
            counted[0] += 1
            counted[1] += len(reader._blocks)  # noqa: SLF001 what is measured

    await asyncio.gather(*map(drive, readers))
    counted[:] = 0, 0
    begun, cpu = time.monotonic(), time.process_time()
    ends_at = begun + seconds
    await asyncio.gather(*map(drive, readers))
    elapsed_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu
    for reader in readers:
        reader.bus.close()
    return counted[1] / elapsed_s, counted[0], cpu_s


async def _on_their_grid(hosts: list[PolledHost]) -> tuple[float, float]:
    """Return by how many KiB a host grows the collector, and the share of turns that were kept."""
    before = _resident_kib()
    often = [msgspec.structs.replace(host, period_s=PERIOD_S) for host in hosts]
    plan = PollPlan(1, {host.host_id: host for host in often})
    stored: Counter[int] = Counter()

    async def deliver(result: HostPoll) -> None:
        assert not result.failures, result.failures
        stored[result.polled_at_ms // 1000 // PERIOD_S] += 1

    def plan_if_changed(version: int) -> PollPlan | None:
        return None if version == plan.version else plan

    task = asyncio.create_task(Collector(plan_if_changed, deliver).run())
    await asyncio.sleep(PERIOD_S * (WHOLE_PERIODS + 1))
    grown = (_resident_kib() - before) / len(hosts)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    whole = sorted(stored)[1 : WHOLE_PERIODS + 1]
    kept = sum(stored[period] for period in whole) / (len(whole) * len(hosts))
    return grown, 100 * kept


def _resident_kib() -> float:
    with Path("/proc/self/statm").open(encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1024


if __name__ == "__main__":
    port, count, duration, name = sys.argv[1:]
    result = uvloop.run(main(int(port), int(count), float(duration), name))
    json.dump(result, sys.stdout)
