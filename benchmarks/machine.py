"""What a figure belongs to: the date, the machine, and the versions of everything measured."""

import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.programs import PEERS, PeerMissingError, found_program

_SYNCS = 200
_VERSION_OPTIONS = {"influxd": "version", "victoria-metrics": "-version", "postgres": "--version"}


def machine() -> list[str]:
    """Return lines to print above the figures."""
    processor = "unknown processor"
    described = Path("/proc/cpuinfo")
    if described.exists():
        names = [line for line in described.read_text().splitlines() if "model name" in line]
        processor = names[0].partition(":")[2].strip() if names else processor
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "litestar", "polars"))
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} x {processor}, {memory:.0f} GiB",
        f"{platform.platform()}, load {load}, fdatasync of 8 KiB {_sync_ms():.2f} ms",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}",
        "peers: " + ", ".join(_peers()),
    ]


def _peers() -> list[str]:
    found = [f"Flask {version('flask')}", f"gunicorn {version('gunicorn')}"]
    for name, option in _VERSION_OPTIONS.items():
        try:
            program = found_program(name)
        except PeerMissingError:
            found.append(f"{PEERS[name]} not installed")
            continue
        said = subprocess.run([program, option], check=False, capture_output=True, text=True)
        words = said.stdout.split()
        found.append(" ".join(words[:2]) if words else _of_debian(PEERS[name]))
    return found


def _of_debian(package: str) -> str:
    asked = ["dpkg-query", "-W", "-f", "${Version}", package]
    try:
        said = subprocess.run(asked, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return package
    return f"{package} {said.stdout}".strip()


def _sync_ms() -> float:
    taken = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(bytes(8192))
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begin)
    return sorted(taken)[_SYNCS // 2] * 1000
