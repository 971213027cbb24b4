"""
The entries of an Atom feed, one at a time: memory holds one entry, however long the feed is.

Straight on expat, because only it tells the line of an element. Nothing is fetched and no entity
is expanded: a document type definition, where both would be declared, is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from meterbook.intake.files.broken import BrokenFileError

CHUNK_BYTES = 1 << 16
DEPTH_MAX = 64
ENTRY_NODES_MAX = 2_000_000  # a year of minutes in one block, four elements each
TEXT_CHARACTERS_MAX = 10_000
TAG_BYTES_MAX = 1 << 20  # expat looks at a tag or comment from its beginning with each chunk
_ATOM = "http://www.w3.org/2005/Atom"
_ESPI = "http://naesb.org/espi"


class Node:
    """One element of the ESPI namespace."""

    __slots__ = ("_children", "line", "name", "own_text")

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line, self.own_text = name, line, ""
        self._children: list[Node] = []

    def append(self, child: "Node") -> None:
        """Add a child."""
        self._children.append(child)

    def children(self, name: str) -> Iterator["Node"]:
        """Yield the children of a name."""
        return (child for child in self._children if child.name == name)

    def text(self, name: str, default: str = "") -> str:
        """Return the text of the first child of a name."""
        return next((child.own_text.strip() for child in self.children(name)), default)

    def whole(self, name: str, default: int, path: Path) -> int:
        """
        Return the whole number in the first child of a name.

        :raises BrokenFileError: if it is none, or longer than 64 bits.
        """
        text = self.text(name)
        if not text:
            return int(default)
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):  # noqa: PLR2004
            raise BrokenFileError(path, f"has a {name} that is no whole number", line=self.line)
        return int(text)


class Entry:
    """One Atom entry."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.id = ""
        self.address = ""
        self.up = ""
        self.related: list[str] = []
        self.categories: dict[str, str] = {}
        """Scheme to term."""
        self.nodes: list[Node] = []

    def contents(self, name: str) -> Iterator[Node]:
        """Yield what the entry contains of a name."""
        return (node for node in self.nodes if node.name == name)


def entries(stream: BinaryIO, name: Path) -> Iterator[Entry]:
    """
    Yield the entries of a feed, or the only one of a document that is just an entry.

    :raises BrokenFileError: if it is no XML, or has a document type definition.
    """
    reader = _Reader(name)
    try:
        while chunk := stream.read(CHUNK_BYTES):
            reader.parser.Parse(chunk, False)  # noqa: FBT003 expat's own signature
            reader.require_progress(len(chunk))
            yield from reader.taken()
        reader.parser.Parse(b"", True)  # noqa: FBT003 the same
    except expat.ExpatError as error:
        reason = f"is not well-formed XML: {expat.ErrorString(error.code)}"
        raise BrokenFileError(name, reason, line=error.lineno, column=error.offset + 1) from None
    yield from reader.taken()


class _Reader:
    def __init__(self, name: Path) -> None:
        self._name = name
        self._done: list[Entry] = []
        self._entry: Entry | None = None
        self._stack: list[Node | None] = []
        self._nodes = 0
        self._text: list[str] = []
        self._characters = 0
        self._given_bytes = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters_of

    def require_progress(self, given_bytes: int) -> None:
        """
        Count what was parsed.

        :raises BrokenFileError: if a tag or a comment has begun long before, and does not end.
        """
        self._given_bytes += given_bytes
        if self._given_bytes - self.parser.CurrentByteIndex > TAG_BYTES_MAX:
            raise self._broken("has a tag or a comment without end")

    def taken(self) -> list[Entry]:
        """Return the entries that ended since it was asked last."""
        done, self._done = self._done, []
        return done

    def _broken(self, reason: str) -> BrokenFileError:
        return BrokenFileError(
            self._name,
            reason,
            line=self.parser.CurrentLineNumber,
            column=self.parser.CurrentColumnNumber + 1,
        )

    def _doctype(self, *_: object) -> None:
        raise self._broken("has a document type definition, which no Green Button file needs")

    def _start(self, written: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= DEPTH_MAX:
            raise self._broken("is nested too deeply")
        self._nodes += 1
        if self._nodes > ENTRY_NODES_MAX:
            raise self._broken("has an entry that is too large")
        space, _, name = written.rpartition(" ")
        self._text, self._characters = [], 0
        node = None
        if space == _ATOM and name == "entry":
            self._entry = Entry(self.parser.CurrentLineNumber)
            self._nodes = 0
        elif self._entry is not None and name == "link":
            _link(self._entry, attributes)
        elif self._entry is not None and written == f"{_ATOM} category":
            self._entry.categories[attributes.get("scheme", "")] = attributes.get("term", "")
        elif self._entry is not None and space == _ESPI:
            node = Node(name, self.parser.CurrentLineNumber)
            parent = self._stack[-1] if self._stack else None
            (self._entry.nodes if parent is None else parent).append(node)
        self._stack.append(node)

    def _end(self, written: str) -> None:
        node = self._stack.pop()
        text = "".join(self._text)
        self._text = []
        name = written.rpartition(" ")[2]
        if node is not None:
            node.own_text = text
        elif self._entry is not None and name == "id":
            self._entry.id = text.strip()[:64]
        elif self._entry is not None and written == f"{_ATOM} entry":
            self._entry.address = self._entry.address or self._entry.id
            self._done.append(self._entry)
            self._entry = None
        if self._entry is None:
            self._nodes = 0

    def _characters_of(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > TEXT_CHARACTERS_MAX:
            raise self._broken("has a text that is too long")
        self._text.append(text)


def _link(entry: Entry, attributes: dict[str, str]) -> None:
    address = attributes.get("href", "").rstrip("/")
    match attributes.get("rel"):
        case "self":
            entry.address = address
        case "up":
            entry.up = address
        case "related":
            entry.related.append(address)
