"""`make bench`: every figure, one after the other, or those named on the command line."""

import sys
from importlib import import_module

from benchmarks.figures import show
from benchmarks.programs import install_missing_programs

MODULES = (
    "packet_speed",
    "close_speed",
    "read_speed",
    "import_speed",
    "import_files_speed",
    "api_speed",
    "dashboard_speed",
    "collector_speed",
    "collector_crowd",
    "page_speed",
)


def main() -> None:
    """Run the benchmarks and print their tables."""
    install_missing_programs()
    for name in sys.argv[1:] or MODULES:
        if name not in MODULES:
            sys.exit(f"no benchmark {name}; there are {', '.join(MODULES)}")
        print(f"\n{name}", flush=True)
        show(import_module(f"benchmarks.{name}").figures())


if __name__ == "__main__":
    main()
