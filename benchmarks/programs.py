"""
The programs that benchmarks need: wrk, and the peers where they are.

wrk is the client of nearly everything, so it is installed on Debian as root. A peer that is not
there is left out and said so.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = {
    "influxd": "influxdb",
    "victoria-metrics": "victoria-metrics",
    "initdb": "postgresql",
    "postgres": "postgresql",
}
"""Program to the Debian package that has it."""
_POSTGRES_FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin")


class PeerMissingError(RuntimeError):
    """A peer's program is not installed; says which package has it."""


def found_program(name: str) -> str:
    """
    Return the path of a peer's program, also where Debian keeps PostgreSQL's.

    :raises PeerMissingError: if it is not installed.
    """
    places = os.pathsep.join([os.environ.get("PATH", ""), *_POSTGRES_FOLDERS])
    found = shutil.which(name, path=places)
    if found is None:
        raise PeerMissingError(
            f"{name} is not installed; on Debian: apt-get install {PEERS.get(name, name)}"
        )
    return found


def missing_peers() -> list[str]:
    """Return the Debian packages of the peers that are not there."""
    missing = []
    for name, package in PEERS.items():
        try:
            found_program(name)
        except PeerMissingError:
            missing.append(package)
    return sorted(set(missing))


def install_missing_programs() -> None:
    """Install wrk where we can; say what to do where we cannot, and which peers are left out."""
    for package in missing_peers():
        print(f"{package} is not installed: left out; on Debian: apt-get install {package}")
    if shutil.which("wrk"):
        return
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, env=quiet)
