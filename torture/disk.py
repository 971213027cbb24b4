"""
A disk that forgets: what a folder may hold after a power cut, from the journal of its changes.

Only what an fsync ended for is sure. Everything later may be there, be missing, or be torn at a
sector of 512 bytes, in any mixture; a file's name is sure once its directory was synced. Real file
systems keep more: ext4 writes a synced new file's name with it.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

SECTOR_BYTES = 512
MARK = "A"
"""The kind of record that the client writes: a reading was acknowledged."""
_HEAD = struct.Struct("<IcQq")
Left = Literal["nothing", "everything", "some"]
LEFT: tuple[Left, ...] = ("nothing", "everything", "some", "some")
"""What may be left of unsynced changes; a mixture finds more than the extremes."""


class Record(msgspec.Struct, frozen=True):
    """One change, sync or mark, in the order it was journalled."""

    kind: str
    file: int
    offset: int
    body: bytes


class _File:
    """A file's durable bytes, and the changes since its last sync."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.pending: list[tuple[str, int, bytes]] = []
        self.synced = 0
        """How many changes have been applied, ever: a sync covers those before it began."""

    def sync(self, until: int) -> None:
        some = max(0, until - self.synced)
        for change in self.pending[:some]:
            _apply(self.durable, change)
        del self.pending[:some]
        self.synced += some

    def after_cut(self, left: Left, chance: random.Random) -> bytes:
        content = bytearray(self.durable)
        for change in self.pending:
            if left == "everything":
                _apply(content, change)
            elif left == "some":
                for part in _torn(change, chance):
                    _apply(content, part)
        return bytes(content)


_Naming = dict[str, tuple[_File | None, bool]]
"""One change of names, atomic: path to its file, and whether it is there."""


class Disk:
    """A folder, followed through its journal."""

    def __init__(self, folder: Path) -> None:
        """Begin with what the folder holds now, all of it durable."""
        self.folder = str(folder)
        self._files: dict[int, _File] = {}
        self._names: dict[str, _File | None] = {self.folder: None}
        """Path to file, None for a directory; as the running program sees them."""
        self._syncing: dict[tuple[int, int], tuple[int, str, int]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_dir():
                self._names[str(path)] = None
            elif path.is_file():
                self._names[str(path)] = self._files[path.stat().st_ino] = _File(path.read_bytes())
        self._durable_names = dict(self._names)
        self._changes: dict[str, list[_Naming]] = {}
        """Directory to its changes since it was synced."""

    def play(self, record: Record) -> None:
        """Follow one record."""
        path = record.body.decode("utf-8", "surrogateescape") if record.kind in "CRUMfF" else ""
        match record.kind:
            case "C" if path not in self._names:
                self._name(path, self._files.setdefault(record.file, _File()))
            case "M":
                self._name(path, None)
            case "U" if path in self._names:
                self._unname(path)
            case "R":
                self._rename(*path.split("\0"))
            case "W" | "T" | "L" if record.file in self._files:
                change = (record.kind, record.offset, record.body)
                self._files[record.file].pending.append(change)
            case "f":
                self._begin_sync(record, path)
            case "F":
                self._end_sync(record, path)

    def after_cut(self, folder: Path, *, left: Left, chance: random.Random) -> None:
        """Write what a power cut now may leave into an empty folder."""
        names = dict(self._durable_names)
        for changes in self._changes.values():
            # A directory's changes reach the disk in their order, as every file system with a
            # journal has it; how far they got is chance.
            count = {"nothing": 0, "everything": len(changes)}.get(left)
            if count is None:
                count = chance.randint(0, len(changes))
            for change in changes[:count]:
                _rename_in(names, change)
        for path in sorted(names):
            target = folder / path[len(self.folder) :].lstrip("/")
            file = names[path]
            if file is None:
                target.mkdir(exist_ok=True)
            elif target.parent.is_dir():
                target.write_bytes(file.after_cut(left, chance))

    def _name(self, path: str, file: _File | None) -> None:
        self._names[path] = file
        self._of_directory(path).append({path: (file, True)})

    def _unname(self, path: str) -> None:
        file = self._names.pop(path)
        self._of_directory(path).append({path: (file, False)})
        if file is not None and file not in self._names.values():
            # Its number may be given to another file now.
            self._files = {number: one for number, one in self._files.items() if one is not file}

    def _rename(self, old: str, new: str) -> None:
        file = self._names.get(old)
        if old in self._names:
            del self._names[old]
            self._names[new] = file
            self._of_directory(new).append({new: (file, True), old: (file, False)})

    def _of_directory(self, path: str) -> list["_Naming"]:
        return self._changes.setdefault(path.rpartition("/")[0], [])

    def _begin_sync(self, record: Record, path: str) -> None:
        file = self._files.get(record.file)
        covered = 0 if file is None else file.synced + len(file.pending)
        named = len(self._changes.get(path, []))
        self._syncing[record.file, record.offset] = (covered, path, named)

    def _end_sync(self, record: Record, path: str) -> None:
        covered, _, named = self._syncing.pop((record.file, record.offset))
        if path:
            changes = self._changes.get(path, [])
            for change in changes[:named]:
                _rename_in(self._durable_names, change)
            del changes[:named]
        elif record.file in self._files:
            self._files[record.file].sync(covered)


def records(journal: Path) -> Iterator[Record]:
    """Yield what was journalled, in its order; a record cut off at the end is left out."""
    content = memoryview(journal.read_bytes())
    place = 0
    while place + _HEAD.size <= len(content):
        length, kind, file, offset = _HEAD.unpack_from(content, place)
        if place + length > len(content):
            return
        body = bytes(content[place + _HEAD.size : place + length])
        yield Record(kind.decode("ascii"), file, offset, body)
        place += length


def mark(meter_id: int, starts_at: int, energy_wh: int) -> bytes:
    """Return the record that says a reading was acknowledged."""
    body = b"%d" % energy_wh
    return _HEAD.pack(_HEAD.size + len(body), MARK.encode("ascii"), meter_id, starts_at) + body


def _rename_in(names: dict[str, _File | None], change: _Naming) -> None:
    for path, (file, is_there) in change.items():
        if is_there:
            names[path] = file
        else:
            names.pop(path, None)


def _apply(content: bytearray, change: tuple[str, int, bytes]) -> None:
    kind, offset, body = change
    if kind == "T":
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if kind == "W":
        content[offset : offset + len(body)] = body


def _torn(
    change: tuple[str, int, bytes], chance: random.Random
) -> Iterator[tuple[str, int, bytes]]:
    kind, offset, body = change
    fate = chance.random()
    if fate < 1 / 3:
        return
    if fate < 2 / 3 or kind != "W":
        yield change
        return
    begin = 0
    while begin < len(body):
        end = min(len(body), begin + SECTOR_BYTES - (offset + begin) % SECTOR_BYTES)
        if chance.random() < 0.5:
            yield kind, offset + begin, body[begin:end]
        begin = end
