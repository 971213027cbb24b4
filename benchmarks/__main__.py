"""`make bench`: every figure, one after the other, or those named; at the end THE table."""

import sys
import time
from importlib import import_module

from benchmarks import aims
from benchmarks.figures import Figure, show
from benchmarks.machine import machine
from benchmarks.programs import install_missing_programs

MODULES = (
    "packet_speed",
    "peers_packets",
    "close_speed",
    "read_speed",
    "peers_month",
    "import_speed",
    "import_files_speed",
    "api_speed",
    "dashboard_speed",
    "growth_speed",
    "collector_speed",
    "collector_crowd",
    "page_speed",
)
PEERS = "peers"
"""What stands in THE table, and only that."""


def main() -> None:
    """Run the benchmarks and print their tables."""
    install_missing_programs()
    print("\n".join(machine()))
    found: list[Figure] = []
    began = time.monotonic()
    for name in _wanted(sys.argv[1:]):
        print(f"\n{name}", flush=True)
        begin = time.monotonic()
        figures = import_module(f"benchmarks.{name}").figures()
        show(figures)
        found += figures
        print(f"took {time.monotonic() - begin:.0f} s", flush=True)
    print(f"\nBeside the peers; all of it took {(time.monotonic() - began) / 60:.0f} minutes")
    aims.show_aims(found)


def _wanted(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if name not in {*MODULES, PEERS}:
            sys.exit(f"no benchmark {name}; there are {', '.join(MODULES)}, and {PEERS}")
    wanted = {one for name in names for one in (aims.MODULES if name == PEERS else [name])}
    return tuple(name for name in MODULES if name in wanted or not names)


if __name__ == "__main__":
    main()
