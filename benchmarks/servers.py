"""A started server for benchmarks: the one that tests use, by its URL."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

free_port = servers.free_port


@contextmanager
def running_server(folder: Path, *, database_url: str = "", workers: int = 1) -> Iterator[str]:
    """Start a server on the books in a folder, or in another database, and give its URL."""
    command = ("-m", "meterbook", "serve", "--workers", str(workers))
    with servers.running_server(
        folder, database_url=database_url, command=command, cold=True
    ) as server:
        yield server.url
