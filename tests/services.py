"""
Makes sure the programs that tests drive are there: PostgreSQL, Chromium, Mosquitto, gcc and ip.

On Debian as root it installs them; elsewhere it says what is missing and which tests are skipped
for it. With CI=true a missing one is a failure, in the tests themselves.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/sbin",
    "/sbin",
)
DEBIAN_PACKAGES = {
    "postgres": "postgresql",
    "chromium": "chromium",
    "mosquitto": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "ip": "iproute2",
    "gcc": "gcc libc6-dev",
}


def program(name: str) -> str | None:
    """Return the path of a program, also where Debian keeps PostgreSQL's."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *POSTGRES_FOLDERS]))


def missing_programs() -> list[str]:
    """Return the programs that are not there."""
    return [name for name in DEBIAN_PACKAGES if program(name) is None]


def need(there: object, what: str) -> None:
    """Skip the test if something is not there; fail it where CI says all must be."""
    if there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


def main() -> None:
    """Install what is missing where we can; name it where we cannot."""
    missing = missing_programs()
    if missing and Path("/etc/debian_version").exists() and os.geteuid() == 0:
        _install([package for name in missing for package in DEBIAN_PACKAGES[name].split()])
        missing = missing_programs()
    for name in missing:
        sys.stdout.write(f"{name} is not installed: the tests that need it are skipped\n")


def _install(packages: Sequence[str]) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    # Debian makes and starts a cluster of its own unless told not to; tests start theirs.
    Path("/etc/postgresql-common").mkdir(exist_ok=True)
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if not settings.exists():
        settings.write_text("create_main_cluster = false\n", encoding="ascii")
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        check=True,
        env=quiet,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
