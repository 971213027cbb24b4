"""
A power cut at many moments of a server's life: what was acknowledged is there, and the book opens.

The control does not wait for the disk: the same cuts must find that it loses what it acknowledged.
`make torture` cuts a thousand times, PostgreSQL too.
"""

import random
from pathlib import Path

import pytest
from torture.disk import Disk, Record
from torture.power_cuts import cut, sqlite_after, sqlite_run

CUTS = 25
PACKETS = 400


@pytest.mark.parametrize("is_control", [False, True], ids=["synced", "control"])
def test_what_was_acknowledged_outlives_a_power_cut_unless_commits_are_not_synced(
    tmp_path: Path, is_control: bool
) -> None:
    run = sqlite_run(tmp_path, seed=1, packets=PACKETS, is_control=is_control)
    outcome = cut(run, opened=sqlite_after, cycles=CUTS, seed=1)
    assert outcome.acknowledged
    assert bool(outcome.findings) == is_control, outcome.findings[:3]


def test_the_disk_keeps_what_was_synced_before_the_cut_and_may_forget_the_rest(
    tmp_path: Path,
) -> None:
    folder, after = tmp_path / "disk", tmp_path / "after"
    folder.mkdir()
    after.mkdir()
    name = str(folder / "file").encode()
    disk = Disk(folder)
    for record in (
        Record("C", 7, 0, name),
        Record("W", 7, 0, b"kept"),
        Record("f", 7, 1, b""),
        Record("W", 7, 4, b" begun during the sync"),
        Record("F", 7, 1, b""),
        Record("f", 9, 1, str(folder).encode()),
        Record("F", 9, 1, str(folder).encode()),
        Record("C", 8, 0, str(folder / "nameless").encode()),
    ):
        disk.play(record)
    chance = random.Random(1)
    disk.after_cut(after, left="nothing", chance=chance)
    assert {path.name: path.read_bytes() for path in after.iterdir()} == {"file": b"kept"}
    disk.after_cut(after, left="everything", chance=chance)
    assert (after / "file").read_bytes() == b"kept begun during the sync"
    assert (after / "nameless").exists()


def test_a_renamed_file_is_there_under_one_of_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    (folder / "draft").write_bytes(b"new")
    disk = Disk(folder)
    disk.play(Record("R", 0, 0, f"{folder / 'draft'}\0{folder / 'old'}".encode()))
    seen = set()
    for seed in range(20):
        after = tmp_path / str(seed)
        after.mkdir()
        disk.after_cut(after, left="some", chance=random.Random(seed))
        seen.add((after / "old").read_bytes())
        assert (after / "draft").exists() == ((after / "old").read_bytes() == b"old")
    assert seen == {b"old", b"new"}
