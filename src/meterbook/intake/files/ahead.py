"""
Work one step ahead: the next piece of a file is made while the caller works on this one.

It pays where the pieces are made outside of Python, by Polars or numpy; no more than one piece
waits, so memory stays flat.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Generator[Item]:
    """Yield the items, each made in a thread; what it raises is raised in its place."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
