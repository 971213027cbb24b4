"""What a running server takes: its processes, their memory and their open files (Linux)."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec

MEMORY_GROWTH_MAX = 1.25
MEMORY_SLACK_MIB = 32  # of a server of 120 MiB: page caches and arenas fill once
SETTLES_S_MAX = 20
HANDLES_SLACK = 16  # idle database connections come and go
_MIB = 1 << 20


class Taken(msgspec.Struct, frozen=True):
    """What the processes of a server take together."""

    memory_mib: int
    """Private and shared pages in memory, without those of mapped files."""
    handles: int


def tree(pid: int) -> list[int]:
    """Return the process and all it started, itself first."""
    found = [pid]
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError):
                children = (task / "children").read_text(encoding="ascii").split()
                for child in children:
                    found += tree(int(child))
    return found


def workers(pid: int) -> list[int]:
    """Return the processes that answer requests, of a server."""
    return [child for child in tree(pid)[1:] if b"resource_tracker" not in _command(child)]


def kill(pid: int) -> None:
    """Kill one process with SIGKILL; it may be gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def taken(pid: int) -> Taken:
    """Return what the process and all it started take now."""
    memory, handles = 0, 0
    for one in tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{one}/status").read_text(encoding="ascii").splitlines()
            sizes = {line.split(":")[0]: line.split() for line in lines}
            memory += int(sizes["RssAnon"][1]) * 1024
            handles += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return Taken(memory // _MIB, handles)


def settled(pid: int, before: Taken) -> Taken:
    """Return what they take once connections that are being closed are gone, or do not go."""
    end = time.monotonic() + SETTLES_S_MAX
    while (now := taken(pid)).handles > before.handles + HANDLES_SLACK and time.monotonic() < end:
        time.sleep(0.2)
    return now


def growth(before: Taken, after: Taken) -> list[str]:
    """Return what has grown that should be flat."""
    findings = []
    if after.memory_mib > before.memory_mib * MEMORY_GROWTH_MAX + MEMORY_SLACK_MIB:
        findings.append(f"memory grew from {before.memory_mib} to {after.memory_mib} MiB")
    if after.handles > before.handles + HANDLES_SLACK:
        findings.append(f"open files grew from {before.handles} to {after.handles}")
    return findings


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
