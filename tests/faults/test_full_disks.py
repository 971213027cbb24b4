"""A full disk stops work and breaks nothing; with room again it leads to the same book."""

from pathlib import Path

import pytest
from torture.full_disks import DISK_MIB, TASKS, Task, full_while_packets_come, full_while_working
from torture.load import Sender
from torture.new_books import Book
from torture.small_disks import small_disk


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_full_disk_leaves_no_half_done_work(task: Task) -> None:
    with small_disk(mib=DISK_MIB) as disk:
        outcome = full_while_working(task, disk, cycles=2, seed=1)
    assert outcome.findings == []


def test_packets_are_refused_while_the_disk_is_full_and_taken_again_after(
    sqlite_url: str,
) -> None:
    with small_disk(mib=DISK_MIB) as disk:
        url = f"sqlite:///{disk.folder / 'meterbook.sqlite'}"
        (disk.folder / "meterbook.sqlite").write_bytes(Path(sqlite_url[10:]).read_bytes())
        book = Book(disk.folder, url, Sender(seed=1))
        outcome = full_while_packets_come(disk, book, cycles=1, seed=1)
    assert outcome.findings == []
    assert outcome.found == outcome.acknowledged
