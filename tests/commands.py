"""The `meterbook` command as its user runs it: a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PASSWORD = "correct horse battery staple"


def run_command(
    *arguments: str,
    folder: Path,
    database_url: str = "",
    settings: Mapping[str, str] | None = None,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command on the books in a folder, or on another database, and return how it went."""
    variables = {
        **{name: text for name, text in os.environ.items() if not name.startswith("METERBOOK_")},
        **(environment or {}),
        "METERBOOK_DATA_DIR": str(folder),
        **({"METERBOOK_DATABASE": database_url} if database_url else {}),
        **{f"METERBOOK_{name.upper()}": text for name, text in (settings or {}).items()},
    }
    return subprocess.run(
        [sys.executable, "-m", "meterbook", *arguments],
        env=variables,
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
