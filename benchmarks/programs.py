"""The client program that benchmarks need: wrk. On Debian as root it is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def install_missing_programs() -> None:
    """Install wrk where we can; say what to do where we cannot."""
    if shutil.which("wrk"):
        return
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        sys.exit("wrk is not installed; on Debian: apt-get install wrk")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, env=quiet)
