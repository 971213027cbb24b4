"""
What `make torture` runs: every fault a book must outlive, many times over.

Each module breaks one thing on purpose, with a seed it prints, and returns what was promised and
what was found. `make test` runs the same code with a few cycles. It drives the servers and
PostgreSQL clusters that the tests drive, so their folder is importable here, and in every program
that is started from here.
"""

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FOLDERS = [str(_ROOT), str(_ROOT / "tests")]
sys.path += [folder for folder in _FOLDERS if folder not in sys.path]
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *_FOLDERS])
)
