"""A started server for benchmarks: the one that tests use, by its URL."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Start a server on the books in a folder and give its URL."""
    with servers.running_server(folder) as server:
        yield server.url
