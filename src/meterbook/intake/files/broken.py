"""How a file that cannot be taken is named: file, line, column and reason, in one line."""

from pathlib import Path

NO_TEXT = "is not text"


class BrokenFileError(ValueError):
    """A file that is broken, foreign or too large. Nothing of it is stored."""

    def __init__(self, path: Path, reason: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{path}: line {line}, column {column}: {reason}")
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason


def text_problem(head: bytes) -> str:
    """Return why bytes with zeros among them are no text here."""
    is_utf_16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return "is UTF-16 text: save it as UTF-8" if is_utf_16 else NO_TEXT


class NoMeterFileError(BrokenFileError):
    """A file that looks like none of the formats, or like text without a table of readings."""
