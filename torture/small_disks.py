"""
Disks that can be filled: a tmpfs of a few MiB, mounted where the book lies.

Where mounting is refused, a limit on the size of files stands in for it, and the outcome says so:
what is written then fails with EFBIG instead of ENOSPC, and making small files still works.
"""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BALLAST = "ballast"
_KIB = 1024


class SmallDisk:
    """A folder on a disk of its own, and the way to fill it."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted
        self.processes: list[int] = [os.getpid()]
        """Who feels it where it is only a limit."""

    @property
    def note(self) -> str:
        """What is to be said of the outcome."""
        return "" if self.is_mounted else "mounting was refused: RLIMIT_FSIZE stands in"

    def fill(self, *, free_kib: int = 0) -> None:
        """Leave so much room and no more."""
        self.empty()
        if not self.is_mounted:
            sizes = [file.stat().st_size for file in self.folder.rglob("*") if file.is_file()]
            self._limit(max(sizes, default=0) + free_kib * _KIB)
            return
        room = shutil.disk_usage(self.folder).free - free_kib * _KIB
        with (self.folder / BALLAST).open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(room, 1))

    def empty(self) -> None:
        """Make room again."""
        if self.is_mounted:
            (self.folder / BALLAST).unlink(missing_ok=True)
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for process in self.processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def small_disk(*, mib: int, owner: str | None = None) -> Iterator[SmallDisk]:
    """Mount a small disk, or what stands in for one; leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="torture-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode == 0
    if owner:
        shutil.chown(folder, owner)
    disk = SmallDisk(folder, is_mounted=is_mounted)
    try:
        yield disk
    finally:
        disk.empty()
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
