"""A crowd of hosts with every trouble: the healthy ones lose nothing, each fault is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.collector_crowd import DEAD, HEALTHY, MODEL, REPORTED, Started, nobody_at, run_crowd

from meterbook.intake.modbus.sunspec import sunspec_models
from meterbook.simulate.modbus.crowd import Makes, serve_crowd
from meterbook.simulate.modbus.faults import faults_of
from servers import free_ports
from virtual_devices import MODELS, DeviceThread

MAKES = Makes(MODELS, sunspec_models())


def test_the_bad_hosts_of_a_crowd_cost_the_good_ones_nothing(tmp_path: Path) -> None:
    devices = DeviceThread()

    @contextmanager
    def plug_in(trouble: str, count: int) -> Iterator[Started]:
        if trouble == DEAD:
            with nobody_at(count) as port:
                yield port, lambda: None
            return
        port = free_ports(count)
        faults = {} if trouble == HEALTHY else faults_of([trouble])
        crowd = serve_crowd(MAKES, model=MODEL, first_port=port, count=count, faults=faults)
        devices.keep(devices.do(crowd))
        yield port, lambda: None

    crowd = run_crowd(tmp_path, hosts=60, seconds=9, period_s=5, plug_in=plug_in)
    devices.stop()

    assert crowd.kinds[HEALTHY] == 60 - 6 - 6 - 7 * 2
    assert crowd.turns_kept == 1
    for trouble, count in crowd.kinds.items():
        told = crowd.failures[trouble]
        assert set(told) == REPORTED[trouble], trouble
        assert set(told.values()) <= {count}, trouble
