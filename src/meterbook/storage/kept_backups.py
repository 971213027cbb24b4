"""A folder of backups: each named by its instant, the newest kept, the others removed."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from meterbook.storage.backup import MANIFEST

_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z")


def backup_name(now: int) -> str:
    """Return the name of a backup of that instant; names sort as instants do."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H-%M-%SZ}"


def remove_old_backups(folder: Path, *, made: Path, kept: int) -> list[Path]:
    """
    Remove what is older than the newest whole ones, and what was left unfinished; return it.

    :param made: the newest. What is named after it was made by a clock that was ahead, and is
        left alone: counted as newer it would stay in the place of all that are made.
    """
    names = (path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    backups = sorted(path for path in names if path.name <= made.name)
    newest = [path for path in backups if (path / MANIFEST).is_file()][-kept:]
    removed = [path for path in backups if newest and path < newest[-1] and path not in newest]
    for path in removed:
        # Without its manifest first: killed on the way, it does not look whole.
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)
    return removed
