"""
A crowd of hosts, some of them bad: whether the healthy ones lose anything, and how faults are told.

`meterbook serve --role collect` polls virtual devices on a port each, in other processes: a tenth
is not there, a tenth is slow, a twenty-fifth has each other fault. Minutes: CROWD_MINUTES, 10.
"""

import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from benchmarks.collector_speed import starting_devices
from benchmarks.figures import Figure, show

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers
from callers import signed_in
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.registry.catalogue import load_catalogue
from meterbook.registry.host_measurements import assign_measurements
from meterbook.registry.hosts import add_host
from meterbook.registry.locations import add_location
from meterbook.simulate.modbus.faults import Fault
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from meterbook.storage.tables import daybook, host_failures, host_measurements, meter_models

HOSTS = 500
MODEL = "sdm120"
HEALTHY, DEAD = "healthy", "dead"
# Of each host's measurements the failures that its kind of trouble is to be reported by.
REPORTED: dict[str, set[str]] = {
    HEALTHY: set(),
    DEAD: {"unreachable"},
    Fault.SLOW: {"timeout"},
    Fault.SILENCE: {"timeout"},
    Fault.EXCEPTIONS: {"exception"},
    Fault.WRONG_TRANSACTION: {"wrong-answer"},
    Fault.CUT_FRAME: {"cut-frame"},
    Fault.SENTINELS: set(),
    Fault.COUNTER_RESET: set(),
    Fault.COUNTER_GLITCH: set(),
}
Started = tuple[int, Callable[[], None]]
"""The first port, and what waits until the devices are ready."""
PlugIn = Callable[[str, int], AbstractContextManager[Started]]
_MEASUREMENTS = ["active_power", "voltage_ac", "current", "active_energy_consumed"]
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Crowd(msgspec.Struct):
    """What came of it."""

    hosts: int
    kinds: dict[str, int]
    """By trouble, how many hosts had it."""
    failures: dict[str, Counter[str]]
    """By trouble, how many hosts were reported with which failure."""
    turns_kept: float
    """Of the healthy hosts' minutes (or polls, below two minutes), the share in the book."""
    cpu_ms_per_host_minute: float
    memory_mib: float
    memory_kib_per_host: float


def figures() -> list[Figure]:
    """Run the crowd, print its report, and return the figures."""
    minutes = float(os.environ.get("CROWD_MINUTES", "10"))
    with tempfile.TemporaryDirectory() as folder:
        crowd = run_crowd(Path(folder), hosts=HOSTS, seconds=60 * minutes, period_s=60)
    report(crowd)
    return [
        Figure("turns kept by healthy hosts", "%", [100 * crowd.turns_kept], 100),
        Figure("CPU of a host in a minute", "ms", [crowd.cpu_ms_per_host_minute]),
        Figure("memory of the collector's process", "MiB", [crowd.memory_mib]),
        Figure("memory a host", "KiB", [crowd.memory_kib_per_host]),
    ]


def run_crowd(
    folder: Path, *, hosts: int, seconds: float, period_s: int, plug_in: PlugIn | None = None
) -> Crowd:
    """
    Poll the crowd for so long, and look into the book.

    :param plug_in: serves so many devices with such a trouble; None: in a process of their own.
    """
    plug_in = plug_in or _devices
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    migrate(database)
    count_of = shares(hosts)
    settings = {"poll_seconds": str(period_s)}
    command = ("-m", "meterbook", "serve", "--role", "collect")
    with ExitStack() as stack:
        started = {
            trouble: stack.enter_context(plug_in(trouble, count))
            for trouble, count in count_of.items()
        }
        for _, wait_until_ready in started.values():
            wait_until_ready()
        ports = {trouble: first_port for trouble, (first_port, _) in started.items()}
        server = stack.enter_context(
            servers.running_server(folder, settings=settings, command=command, cold=True)
        )
        pids = _processes(server.process.pid)
        empty_kib = sum(map(_resident_kib, pids))
        hosts_of = _register(database, count_of, ports)
        time.sleep(period_s)
        began_at, cpu_s = time.time(), sum(map(_cpu_s, pids))
        wells = _polls_well(server.url)
        time.sleep(seconds)
        ended_at, cpu_s = time.time(), sum(map(_cpu_s, pids)) - cpu_s
        wells = _polls_well(server.url) - wells
        full_kib = sum(map(_resident_kib, pids))
    healthy = hosts_of[HEALTHY]
    if seconds >= 2 * 60:
        kept = _minutes_kept(database, healthy, began_at=began_at, ended_at=ended_at)
    else:
        # Hosts that say "no value" or count wrong are polled well too.
        well = sum(len(hosts_of[trouble]) for trouble, failed in REPORTED.items() if not failed)
        kept = min(1.0, wells / (well * (seconds // period_s)))
    failures = _failures(database, hosts_of)
    database.close()
    return Crowd(
        hosts=hosts,
        kinds=count_of,
        failures=failures,
        turns_kept=kept,
        cpu_ms_per_host_minute=1000 * cpu_s / hosts / (seconds / 60),
        memory_mib=full_kib / 1024,
        memory_kib_per_host=(full_kib - empty_kib) / hosts,
    )


def shares(hosts: int) -> dict[str, int]:
    """Return how many hosts have which trouble."""
    troubled = {trouble: max(1, hosts // 25) for trouble in REPORTED if trouble != HEALTHY}
    troubled |= {DEAD: max(1, hosts // 10), Fault.SLOW: max(1, hosts // 10)}
    return {HEALTHY: hosts - sum(troubled.values()), **troubled}


def report(crowd: Crowd) -> None:
    """Print by trouble how many hosts had it and what was reported of them."""
    table = Table("trouble", "hosts", "reported as", box=None)
    for trouble, count in crowd.kinds.items():
        told = ", ".join(f"{kind}: {n}" for kind, n in sorted(crowd.failures[trouble].items()))
        table.add_row(trouble, str(count), told or "nothing failed")
    Console(width=100).print(table)


@contextmanager
def _devices(trouble: str, count: int) -> Iterator[Started]:
    if trouble == DEAD:
        with nobody_at(count) as first_port:
            yield first_port, lambda: None
        return
    options = () if trouble == HEALTHY else ("--fault", str(trouble))
    with starting_devices(count, model=MODEL, options=options) as started:
        yield started


@contextmanager
def nobody_at(count: int) -> Iterator[int]:
    """Give the first of as many ports that nothing listens on, and that nobody else can get."""
    first_port = servers.free_ports(count)
    with ExitStack() as stack:
        for port in range(first_port, first_port + count):
            stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        yield first_port


def _register(
    database: Database, count_of: dict[str, int], ports: dict[str, int]
) -> dict[str, list[int]]:
    now = int(time.time())
    account, _ = signed_in(database, "crowd")
    made: dict[str, list[int]] = defaultdict(list)
    with database.writing() as connection:
        load_catalogue(connection, catalogued_models(), now=now)
        place = {"street": "S", "number": "1", "city": "C", "zip_code": "Z", "user": account.id}
        location = add_location(connection, fields=place, by=None, now=now)
        model = connection.execute(
            sa.select(meter_models.c.id).where(meter_models.c.name == MODEL)
        ).scalar_one()
        owned = {"user": account.id, "location": location.id, "meter": model, "slave_address": 1}
        for trouble, count in count_of.items():
            for port in range(ports[trouble], ports[trouble] + count):
                fields = owned | {"ip": "127.0.0.1", "port": port, "description": trouble}
                host = add_host(connection, fields=fields, by=None, now=now)
                assign_measurements(
                    connection, host_id=host.id, names=_MEASUREMENTS, zone="UTC", by=None, now=now
                )
                made[trouble].append(host.id)
    return made


def _minutes_kept(
    database: Database, hosts: list[int], *, began_at: float, ended_at: float
) -> float:
    first, end = (int(began_at) // 60 + 1) * 60, int(ended_at) // 60 * 60
    wanted = (
        sa.select(sa.func.count())
        .select_from(host_measurements)
        .join(daybook, daybook.c.channel_id == host_measurements.c.channel_id)
        .where(
            host_measurements.c.host_id.in_(hosts),
            host_measurements.c.measurement == "active_power",
            daybook.c.starts_at >= first,
            daybook.c.starts_at < end,
        )
    )
    with database.reading() as connection:
        found = connection.execute(wanted).scalar_one()
    return float(found / (len(hosts) * (end - first) // 60))


def _failures(database: Database, hosts_of: dict[str, list[int]]) -> dict[str, Counter[str]]:
    told: dict[str, Counter[str]] = {trouble: Counter() for trouble in hosts_of}
    trouble_of = {host_id: trouble for trouble, ids in hosts_of.items() for host_id in ids}
    with database.reading() as connection:
        for row in connection.execute(sa.select(host_failures)):
            told[trouble_of[row.host_id]][row.failure] += 1
    return told


def _polls_well(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('meterbook_polls_total{outcome="well"}'):
                return float(line.split()[-1])
    return 0.0


def _processes(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            found.append(int(stat.parent.name))
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _resident_kib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


if __name__ == "__main__":
    show(figures())
