"""The preloaded library that journals changes: compiled here, and what switches it on."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from services import need, program

SOURCE = Path(__file__).with_name("journal.c")


@cache
def library() -> Path:
    """Compile it once a process and return where it lies; PostgreSQL's user may read it."""
    need(program("gcc"), "gcc")
    folder = Path(mkdtemp(prefix="torture-journal-"))
    folder.chmod(0o755)
    built = folder / "journal.so"
    subprocess.run(
        [str(program("gcc")), "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(built),
         str(SOURCE), "-ldl", "-lpthread"],
        check=True,
    )  # fmt: skip
    return built


def journalling(folder: Path, journal: Path) -> dict[str, str]:
    """Return the variables that make a program journal what it changes below the folder."""
    return {
        "LD_PRELOAD": str(library()),
        "TORTURE_FOLDER": str(folder),
        "TORTURE_JOURNAL": str(journal),
    }
